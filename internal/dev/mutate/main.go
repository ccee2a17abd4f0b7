// Command mutate takes out the safeguards of safeguards.go one at a time, runs the test that notices, and fails unless
// that test fails. A comment //mutate:NAME marks each safeguard. Mutate lays the changed file over the tree (go test
// -overlay) and changes nothing in it.
//
//	go run ./internal/dev/mutate [WORD]   only safeguards whose name or description holds WORD
//	go run ./internal/dev/mutate -table   write the table of safeguards in docs/reliability.md
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// safeguard is one that must be missed.
type safeguard struct {
	// name is the marker's.
	name string
	// what says which safeguard it is, for the table in docs/reliability.md.
	what string
	// edit takes it out.
	edit edit
	// pkg and test are the test that fails without it.
	pkg, test string
}

func main() {
	args := os.Args[1:]
	err := errors.New("want one WORD at most, or -table")
	switch {
	case len(args) == 1 && args[0] == "-table":
		err = writeTable(reliability)
	case len(args) == 0:
		err = run("", os.Stdout)
	case len(args) == 1:
		err = run(args[0], os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

// run takes out the safeguards whose name or description holds a word.
func run(word string, out io.Writer) error {
	places, err := findMarkers(".")
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	survivors := 0
	for _, s := range safeguards {
		if !strings.Contains(s.name, word) && !strings.Contains(s.what, word) {
			continue
		}
		reason, err := s.try(folder, places[s.name])
		if err != nil {
			survivors++
			reason = err.Error()
		}
		fmt.Fprintf(out, "%s: %s\n    %s %s: %s\n", s.name, s.what, s.pkg, s.test, reason)
	}
	if survivors > 0 {
		return fmt.Errorf("%d safeguards are not shown to be missed", survivors)
	}
	return nil
}

// change returns the path of the safeguard's file, and its source without the safeguard.
func (s safeguard) change(places []place, root string) (path, source string, err error) {
	if len(places) != 1 {
		return "", "", fmt.Errorf("want one comment //mutate:%s beside the safeguard, found %v", s.name, places)
	}
	path = filepath.Join(root, places[0].path)
	data, err := os.ReadFile(path)
	if err != nil {
		return "", "", err
	}
	source, err = apply(string(data), places[0].line, s.edit)
	if err != nil {
		return "", "", fmt.Errorf("%s: %w", path, err)
	}
	return path, source, nil
}

var errSurvived = errors.New("SURVIVED: the test passes without the safeguard")

// try returns why the test fails without the safeguard. It is an error if the test passes or cannot run.
func (s safeguard) try(folder string, places []place) (reason string, err error) {
	path, source, err := s.change(places, ".")
	if err != nil {
		return "", err
	}
	changed, overlay := filepath.Join(folder, "changed.go"), filepath.Join(folder, "overlay.json")
	if err := os.WriteFile(changed, []byte(source), 0o600); err != nil {
		return "", err
	}
	replacement, err := json.Marshal(map[string]any{"Replace": map[string]string{path: changed}})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(overlay, replacement, 0o600); err != nil {
		return "", err
	}
	cmd := exec.Command("go", "test", "-overlay", overlay, "-vet", "off", "-count", "1", "-timeout", "5m",
		"-run", "^"+strings.ReplaceAll(s.test, "/", "$/^")+"$", "./"+s.pkg)
	cmd.Env = append(os.Environ(), "RAPID_NOFAILFILE=true")
	out, err := cmd.CombinedOutput()
	failure := failed.Find(out)
	switch {
	case err == nil && bytes.Contains(out, []byte("no tests to run")), err != nil && failure == nil:
		return "", fmt.Errorf("go test says: %s", out)
	case err == nil:
		return "", errSurvived
	}
	for _, line := range because.FindAll(out, -1) {
		if !bytes.Contains(line, []byte("[rapid] OK")) {
			failure = line
			break
		}
	}
	return strings.Join(strings.Fields(string(failure)), " "), nil
}

// failed and because find in what go test prints that a test failed, and why.
var (
	failed  = regexp.MustCompile(`(?m)^\s*(?:--- FAIL: |panic: test timed out).*$`)
	because = regexp.MustCompile(`(?m)^\s*(?:Error:\s+\S.*|\S+_test\.go:\d+: \S.*)$`)
)
