//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/prometheus/procfs"
)

// scenario is what one `make bench ONLY=name` measures.
type scenario struct {
	name, title string
	// about says in the report what is measured, and how.
	about string
	run   func(context.Context, *bench) (result, error)
}

// scenarios are all, in the order of the report.
var scenarios = []scenario{throughput, fleet20, requests, changes, delay, upgrade, history, waits}

func names() (out []string) {
	for _, s := range scenarios {
		out = append(out, s.name)
	}
	return out
}

// result is what a scenario found, as it is kept in results.json.
type result struct {
	Scenario string    `json:"scenario"`
	At       time.Time `json:"at"`
	Seconds  float64   `json:"seconds"` // that it took
	Machine  machines  `json:"machine"`
	Error    string    `json:"error,omitempty"` // why it could not be measured
	Figures  []figure  `json:"figures"`
	Tables   []table   `json:"tables,omitempty"`
	Plots    []chart   `json:"plots,omitempty"`
}

// figure is one number, with its bar if it has one.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"`
	Bar   *bar    `json:"bar,omitempty"`
}

// bar is what a figure is held against.
type bar struct {
	Op    string  `json:"op"` // ≤, ≥ or =
	Value float64 `json:"value"`
}

func atMost(v float64) *bar  { return &bar{"≤", v} }
func atLeast(v float64) *bar { return &bar{"≥", v} }
func exactly(v float64) *bar { return &bar{"=", v} }

// met is whether the figure has no bar or keeps to it. NaN keeps to none.
func (f figure) met() bool {
	switch {
	case f.Bar == nil:
		return true
	case f.Bar.Op == "≤":
		return f.Value <= f.Bar.Value
	case f.Bar.Op == "≥":
		return f.Value >= f.Bar.Value
	default:
		return f.Value == f.Bar.Value
	}
}

func (f figure) value() string { return strings.TrimSpace(number(f.Value) + " " + f.Unit) }

func (f figure) bar() string {
	if f.Bar == nil {
		return ""
	}
	return f.Bar.Op + " " + number(f.Bar.Value)
}

func (f figure) verdict() string {
	switch {
	case f.Bar == nil:
		return ""
	case f.met():
		return "yes"
	default:
		return "**no**"
	}
}

// number formats a figure with three digits, and as a whole number from 100 on.
func number(v float64) string {
	if v >= 100 || v == float64(int64(v)) {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// table holds what does not fit into one number.
type table struct {
	Columns []string   `json:"columns"`
	Rows    [][]string `json:"rows"`
}

func (r result) print(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, f := range r.Figures {
		verdict := ""
		if f.Bar != nil {
			verdict = "met"
			if !f.met() {
				verdict = "MISSED"
			}
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", f.Name, f.value(), f.bar(), verdict)
	}
	for _, t := range r.Tables {
		fmt.Fprintln(w)
		for _, row := range append([][]string{t.Columns}, t.Rows...) {
			fmt.Fprintf(w, "  %s\n", strings.Join(row, "\t"))
		}
	}
	_ = w.Flush()
	if r.Error != "" {
		fmt.Fprintf(out, "  FAILED: %s\n", r.Error)
	}
	fmt.Fprintf(out, "  took %.0f s; again: %s\n\n", r.Seconds, command(r.Scenario))
}

func command(scenario string) string { return "make bench ONLY=" + scenario }

// machines is what a figure was measured on and of.
type machines struct {
	CPU      string `json:"cpu"`
	Cores    int    `json:"cores"`
	Memory   string `json:"memory"`
	System   string `json:"system"`
	Go       string `json:"go"`
	SDK      string `json:"sdk"`
	Temporal string `json:"temporal"`
	Version  string `json:"version"` // of ours
}

// machine describes this machine. What cannot be found out is left empty.
func machine(temporalCLI string) machines {
	output := func(name string, args ...string) string {
		out, _ := exec.Command(name, args...).Output()
		return strings.TrimSpace(string(out))
	}
	m := machines{
		Cores: runtime.NumCPU(), Go: runtime.Version(), System: output("uname", "-sr"),
		Temporal: output(temporalCLI, "--version"),
		Version:  output("git", "describe", "--tags", "--always", "--dirty"),
	}
	if proc, err := procfs.NewDefaultFS(); err == nil {
		if cpus, err := proc.CPUInfo(); err == nil && len(cpus) > 0 {
			m.CPU = cpus[0].ModelName
		}
		if memory, err := proc.Meminfo(); err == nil && memory.MemTotalBytes != nil {
			m.Memory = fmt.Sprintf("%.0f GiB", float64(*memory.MemTotalBytes)/(1<<30))
		}
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if d.Path == "go.temporal.io/sdk" {
				m.SDK = d.Version
			}
		}
	}
	return m
}

func resultsFile(docs string) string { return filepath.Join(docs, "benchmarks", "results.json") }

// load reads what was measured before, by scenario.
func load(docs string) (map[string]result, error) {
	results := map[string]result{}
	data, err := os.ReadFile(resultsFile(docs))
	if errors.Is(err, fs.ErrNotExist) {
		return results, nil
	}
	var list []result
	if err == nil {
		err = json.Unmarshal(data, &list)
	}
	if err != nil {
		return nil, fmt.Errorf("%s cannot be used, delete it to measure anew: %w", resultsFile(docs), err)
	}
	for _, r := range list {
		results[r.Scenario] = r
	}
	return results, nil
}

func save(docs string, results map[string]result) error {
	var list []result
	for _, s := range scenarios {
		if r, ok := results[s.name]; ok {
			list = append(list, r)
		}
	}
	data, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(resultsFile(docs)), 0o755); err != nil {
		return err
	}
	return os.WriteFile(resultsFile(docs), append(data, '\n'), 0o644)
}
