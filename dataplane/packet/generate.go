package packet

// The compiler is named with its version: another one makes other bytes, and the committed objects are compared in CI.
//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -go-package packet -output-stem programs -target bpfel -cflags "-O2 -g -Wall -Wextra -Werror -mcpu=v3 -I/usr/include/x86_64-linux-gnu" programs ../../bpf/sekisho.bpf.c
//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -go-package packet -output-stem redirect -target bpfel -cflags "-O2 -g -Wall -Wextra -Werror -mcpu=v3 -I/usr/include/x86_64-linux-gnu" redirect ../../bpf/redirect.bpf.c
