// Package terminal writes to standard output and standard error: lines, tables, colours, and what is painted over while
// something runs. Text from outside reaches neither with control characters in it.
package terminal

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// Output is standard output or standard error. It keeps the first error of a write, so that the program can look at it
// once, at its end.
type Output struct {
	writer io.Writer
	file   *os.File // nil where the output cannot be painted on
	color  bool
	err    error
}

// NewOutput makes an Output of a writer. lookup reads a variable of the environment, "" where it is not set: TERM=dumb
// is a terminal that cannot be painted on, and NO_COLOR takes away the colours (https://no-color.org).
func NewOutput(writer io.Writer, lookup func(name string) string) *Output {
	file, _ := writer.(*os.File)
	if lookup("TERM") == "dumb" {
		file = nil
	}
	return &Output{writer: writer, file: file, color: lookup("NO_COLOR") == ""}
}

// Write writes as it is. After an error nothing more is written.
func (o *Output) Write(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.writer.Write(p)
	o.err = err
	return n, err
}

// Err is the first error of a write; nil where all could be written.
func (o *Output) Err() error { return o.err }

// Printf is like [fmt.Printf], but that every text among the arguments goes through [Clean].
func (o *Output) Printf(format string, args ...any) {
	for i, arg := range args {
		switch arg := arg.(type) {
		case string:
			args[i] = Clean(arg)
		case error:
			args[i] = Clean(arg.Error())
		case fmt.Stringer:
			args[i] = Clean(arg.String())
		}
	}
	fmt.Fprintf(o, format, args...)
}

// Size is that of the terminal; ok is false where the output is none.
func (o *Output) Size() (width, height int, ok bool) {
	if o.file == nil {
		return 0, 0, false
	}
	width, height, err := term.GetSize(int(o.file.Fd()))
	return width, height, err == nil
}

// IsTerminal reports whether a person may be at the output, which cannot be painted on perhaps.
func (o *Output) IsTerminal() bool { return isTerminal(o.writer) }

// IsTerminal reports whether a person may be at an input.
func IsTerminal(input io.Reader) bool { return isTerminal(input) }

func isTerminal(end any) bool {
	file, ok := end.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// colorful tells whether the output takes colour.
func (o *Output) colorful() bool {
	_, _, ok := o.Size()
	return ok && o.color
}
