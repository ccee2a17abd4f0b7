package terminal

import (
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	gap = "  "

	reset  = "\033[0m"
	red    = "\033[31m"
	green  = "\033[32m"
	yellow = "\033[33m"
	cyan   = "\033[36m"
)

// colors are those of a first column that says what became of something.
var colors = map[string]string{
	"RUNNING": cyan, "STARTED": cyan, "JOINED": cyan, "COMPLETED": green, "CANCELED": yellow, "UNKNOWN": yellow,
	"FAILED": red, "TERMINATED": red, "TIMED_OUT": red, "REFUSED": red,
	"OK": green, "WARNING": yellow, "SKIPPED": cyan,
}

// Table is rows of cells, which have the same width in a column.
type Table struct {
	Rows [][]string
	// Dispensable are the columns that may be left out where the table is too wide, the first one first.
	Dispensable []int
	// Width is what a line may have at most; 0 for any.
	Width int
}

// Lines are the lines of a table, with the first column in colour where the output takes it.
func (o *Output) Lines(t Table) []string {
	rows := make([][]string, len(t.Rows))
	for i, row := range t.Rows {
		for _, cell := range row {
			rows[i] = append(rows[i], Clean(cell))
		}
	}
	for _, column := range t.Dispensable {
		if t.Width > 0 && widest(rows) >= t.Width {
			for i, row := range rows {
				rows[i] = slices.Delete(row, column, column+1)
			}
		}
	}
	widths := columnWidths(rows)
	colorful := o.colorful()
	var lines []string
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			b.WriteString(cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)) + gap)
		}
		line := Cut(strings.TrimRight(b.String(), " "), t.Width)
		if color := colors[row[0]]; colorful && color != "" && strings.HasPrefix(line, row[0]) {
			line = color + row[0] + reset + line[len(row[0]):]
		}
		lines = append(lines, line)
	}
	return lines
}

// PrintTable writes the lines of a table.
func (o *Output) PrintTable(t Table) {
	for _, line := range o.Lines(t) {
		o.write(line + "\n")
	}
}

func columnWidths(rows [][]string) []int {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	return widths
}

// widest is the width of the longest line that the rows make.
func widest(rows [][]string) (n int) {
	for _, w := range columnWidths(rows) {
		n += w + len(gap)
	}
	return n - len(gap)
}
