// Schema writes the JSON Schemas (2020-12) of what callers send and get to
// contract/schema, from the Go types of package contract and their comments.
// It is a module of its own so that the generator is no dependency of the
// programs. Run it with `make schema`.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// Both are relative to this folder, where make and the tests run.
const (
	source = "../../contract"
	folder = source + "/schema"
)

func main() {
	if err := write(folder); err != nil {
		fmt.Fprintln(os.Stderr, "schema:", err)
		os.Exit(1)
	}
}

// write replaces what is in the folder.
func write(folder string) error {
	files, err := generate()
	if err != nil {
		return err
	}
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
