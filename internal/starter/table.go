package starter

import (
	"fmt"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// table is a line for each run, below a head. Where width is more than 0 it fits:
// what the workflow id says as well gives way, and then the end of a line.
func (a *app) table(out any, width int, runs []provisioner.Status, now time.Time) []string {
	rows := [][]string{{"STATUS", "STATE", "AGE", "CLUSTER", "PROJECT", "WORKFLOW ID"}}
	for _, r := range runs {
		project, cluster := named(r)
		rows = append(rows, []string{string(r.State), dash(r.ClusterState), age(now.Sub(r.Started)), dash(cluster), dash(project), r.WorkflowID})
	}
	const cluster, project = 3, 4
	for _, column := range []int{project, cluster} {
		if width > 0 && widest(rows) >= width {
			for i, row := range rows {
				rows[i] = append(row[:column:column], row[column+1:]...)
			}
		}
	}
	return a.align(out, width, rows)
}

// named is the project and cluster of a run, by its search attributes or else
// by its id.
func named(r provisioner.Status) (project, cluster string) {
	if c, ok := contract.ClusterOfWorkflowID(r.WorkflowID); ok && r.ProjectID == "" {
		return c.GroupID, c.Name
	}
	return r.ProjectID, r.ClusterName
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// age is a duration in its largest unit.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(max(d, 0).Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours())/24)
}

const gap = "  "

func columns(rows [][]string) []int {
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

func widest(rows [][]string) (n int) {
	for _, w := range columns(rows) {
		n += w + len(gap)
	}
	return n - len(gap)
}

// align makes lines of rows, no wider than width where that is more than 0, with
// the first column in colour where out takes it.
func (a *app) align(out any, width int, rows [][]string) []string {
	widths := columns(rows)
	color := a.color(out)
	var lines []string
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			b.WriteString(cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)) + gap)
		}
		line := cut(strings.TrimRight(b.String(), " "), width)
		if code := colors[row[0]]; color && code != "" && strings.HasPrefix(line, row[0]) {
			line = code + row[0] + "\033[0m" + line[len(row[0]):]
		}
		lines = append(lines, line)
	}
	return lines
}

const red, green, yellow, cyan = "\033[31m", "\033[32m", "\033[33m", "\033[36m"

// colors of what a run is.
var colors = map[string]string{
	"RUNNING": cyan, "STARTED": cyan, "JOINED": cyan, "COMPLETED": green, "CANCELED": yellow, "UNKNOWN": yellow,
	"FAILED": red, "TERMINATED": red, "TIMED_OUT": red, "REFUSED": red,
}

// color tells whether out takes colour: a terminal, unless NO_COLOR is set
// (https://no-color.org).
func (a *app) color(out any) bool {
	_, _, ok := a.screen(out)
	return ok && a.env.Get("NO_COLOR", "") == ""
}

// screen tells whether out is a terminal that can be painted on, and how large.
func (a *app) screen(out any) (width, height int, ok bool) {
	f, isFile := out.(*os.File)
	if !isFile || a.env.Get("TERM", "") == "dumb" {
		return 0, 0, false
	}
	width, height, err := term.GetSize(int(f.Fd()))
	return width, height, err == nil
}
