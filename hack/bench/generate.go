package main

//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -go-package main -output-stem programs -target bpfel -cflags "-O2 -g -Wall -Wextra -Wno-unused-parameter -Werror -mcpu=v3 -I/usr/include/x86_64-linux-gnu" programs bpf/bench.bpf.c
