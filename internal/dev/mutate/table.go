package main

import (
	"fmt"
	"os"
	"strings"
)

// reliability is the document that holds the table, below the root of the repository.
const reliability = "docs/reliability.md"

// The table stands between these lines of the document.
const (
	tableStart = "<!-- The table is written by: go run ./internal/dev/mutate -table -->\n"
	tableEnd   = "<!-- The end of the table. -->\n"
)

func table() string {
	var b strings.Builder
	b.WriteString("\n| safeguard | the test that fails without it | marker |\n|---|---|---|\n")
	for _, s := range safeguards {
		fmt.Fprintf(&b, "| %s | `%s` %s | `%s` |\n", s.what, s.pkg, s.test, s.name)
	}
	b.WriteString("\n")
	return b.String()
}

// withTable returns the document with the table as it should be.
func withTable(document string) (string, error) {
	before, rest, started := strings.Cut(document, tableStart)
	_, after, ended := strings.Cut(rest, tableEnd)
	if !started || !ended {
		return "", fmt.Errorf("the lines around the table are missing: %s%s", tableStart, tableEnd)
	}
	return before + tableStart + table() + tableEnd + after, nil
}

func writeTable(path string) error {
	document, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("run it in the root of the repository: %w", err)
	}
	changed, err := withTable(string(document))
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(changed), 0o644)
}
