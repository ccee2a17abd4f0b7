// Generate writes the JSON Schemas (2020-12) of what callers send and get to contract/schema, from the Go types of
// package contract and their comments. It is a module of its own, so that the generator is no dependency of the
// programs. Run it with `make schema`.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// Both are relative to this folder, where make and the tests run.
const (
	source = "../.."
	folder = ".."
)

func main() {
	if err := write(folder); err != nil {
		fmt.Fprintln(os.Stderr, "schema:", err)
		os.Exit(1)
	}
}

// write replaces the schemas in a folder.
func write(folder string) error {
	schemas, err := generate()
	if err != nil {
		return err
	}
	old, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return err
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	for name, data := range schemas {
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
