package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// password reads one line, without showing it on a terminal. It reads no further than that line.
func password(in *os.File, prompt io.Writer, ask string) (string, error) {
	fd := int(in.Fd())
	if t, err := unix.IoctlGetTermios(fd, unix.TCGETS); err == nil {
		fmt.Fprint(prompt, ask)
		silent := *t
		silent.Lflag &^= unix.ECHO
		if err := unix.IoctlSetTermios(fd, unix.TCSETS, &silent); err != nil {
			return "", fmt.Errorf("read the password: keep the terminal from showing it: %w", err)
		}
		defer func() {
			unix.IoctlSetTermios(fd, unix.TCSETS, t)
			fmt.Fprintln(prompt)
		}()
	}
	line, err := line(in)
	if err == nil && line == "" {
		err = errors.New("it is empty")
	}
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return line, nil
}

const maxInputLine = 4096 // bytes

// line reads up to the end of the line and not a byte further.
func line(in io.Reader) (string, error) {
	var b strings.Builder
	one := make([]byte, 1)
	for b.Len() < maxInputLine {
		n, err := in.Read(one)
		if n == 1 && one[0] != '\n' {
			b.WriteByte(one[0])
		}
		if n == 1 && one[0] == '\n' || errors.Is(err, io.EOF) {
			return strings.TrimSuffix(b.String(), "\r"), nil
		}
		if err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("the line is longer than %d bytes", maxInputLine)
}
