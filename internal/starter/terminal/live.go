package terminal

import (
	"fmt"
	"strings"
)

const (
	eraseLine  = "\r\033[K"
	eraseRight = "\033[K"
	eraseBelow = "\033[J"
)

// PaintLine shows one line in place of the last one that was painted, cut to the width of the terminal.
func (o *Output) PaintLine(line string) {
	width, _, _ := o.Size()
	o.write(eraseLine + Cut(Clean(line), width))
}

// EraseLine takes away the line that was painted.
func (o *Output) EraseLine() { o.write(eraseLine) }

// Region is lines at the end of a terminal that are painted again and again.
type Region struct {
	output *Output
	lines  int // as they are now
}

// NewRegion makes a region that has no lines yet.
func NewRegion(output *Output) *Region { return &Region{output: output} }

// Paint shows lines, which fit the terminal and went through [Clean], in place of those before.
func (r *Region) Paint(lines []string) {
	var b strings.Builder
	b.WriteString(r.begin())
	for _, line := range lines {
		b.WriteString(line + eraseRight + "\n")
	}
	r.output.write(b.String() + eraseBelow)
	r.lines = len(lines)
}

// Erase takes away the lines.
func (r *Region) Erase() {
	r.output.write(r.begin() + eraseBelow)
	r.lines = 0
}

// begin goes back to the first line.
func (r *Region) begin() string {
	if r.lines == 0 {
		return ""
	}
	return fmt.Sprintf("\r\033[%dA", r.lines)
}

func (o *Output) write(text string) { _, _ = o.Write([]byte(text)) }
