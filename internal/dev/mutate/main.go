// Command mutate takes out the safeguards of mutations.json one at a time, runs
// the test that docs/reliability.md names for it, and fails unless that test
// does. It lays the changed file over the tree (go test -overlay) and touches
// nothing in it.
//
//	go run ./internal/mutate [WORD]   only safeguards whose name holds WORD
package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

//go:embed mutations.json
var list []byte

// mutation is a safeguard, how to take it out, and the test that notices.
type mutation struct {
	Safeguard string `json:"safeguard"`
	File      string `json:"file"`
	// Old is found once in the file and becomes New.
	Old string `json:"old"`
	New string `json:"new"`
	// Package and Test are what go test is told.
	Package string `json:"package"`
	Test    string `json:"test"`
}

func main() {
	word := ""
	if len(os.Args) > 1 {
		word = os.Args[1]
	}
	survivors, err := run(word)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(2)
	}
	if survivors > 0 {
		fmt.Fprintf(os.Stderr, "mutate: %d safeguards are not shown to be missed\n", survivors)
		os.Exit(1)
	}
}

func run(word string) (survivors int, err error) {
	var all []mutation
	if err := json.Unmarshal(list, &all); err != nil {
		return 0, err
	}
	document, err := os.ReadFile("docs/reliability.md")
	if err != nil {
		return 0, fmt.Errorf("run it in the root of the repository: %w", err)
	}
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	for _, m := range all {
		if !strings.Contains(m.Safeguard, word) {
			continue
		}
		name, _, _ := strings.Cut(m.Test, "/")
		if !strings.Contains(string(document), name) {
			return 0, fmt.Errorf("%s: docs/reliability.md does not name %s", m.Safeguard, name)
		}
		said, err := m.try(dir)
		switch {
		case err != nil:
			survivors++
			said = err.Error()
		case said == "":
			survivors++
			said = "SURVIVED"
		}
		fmt.Printf("%s\n    %s %s: %s\n", m.Safeguard, m.Package, m.Test, said)
	}
	return survivors, nil
}

// failed and reason find in what go test prints that a test failed, and why.
var (
	failed = regexp.MustCompile(`(?m)^\s*(?:--- FAIL: |panic: test timed out).*$`)
	reason = regexp.MustCompile(`(?m)^\s*(?:Error:\s+\S.*|\S+_test\.go:\d+: \S.*)$`)
)

// try answers what the test said, empty if it passed.
func (m mutation) try(dir string) (string, error) {
	source, err := os.ReadFile(m.File)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(source), m.Old); n != 1 {
		return "", fmt.Errorf("%s holds %q %d times: bring mutations.json up to date", m.File, m.Old, n)
	}
	changed, overlay := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(changed, []byte(strings.Replace(string(source), m.Old, m.New, 1)), 0o600); err != nil {
		return "", err
	}
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{m.File: changed}})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(overlay, replace, 0o600); err != nil {
		return "", err
	}
	cmd := exec.Command("go", "test", "-overlay", overlay, "-count", "1", "-timeout", "5m", "-run", "^"+strings.ReplaceAll(m.Test, "/", "$/^")+"$", m.Package)
	cmd.Env = append(os.Environ(), "RAPID_NOFAILFILE=true")
	out, err := cmd.CombinedOutput()
	said := failed.Find(out)
	switch {
	case err == nil && strings.Contains(string(out), "no tests to run"), err != nil && said == nil:
		return "", fmt.Errorf("go test says: %s", out)
	case err == nil:
		return "", nil
	}
	for _, why := range reason.FindAll(out, -1) {
		if !bytes.Contains(why, []byte("[rapid] OK")) {
			said = why
			break
		}
	}
	return strings.Join(strings.Fields(string(said)), " "), nil
}
