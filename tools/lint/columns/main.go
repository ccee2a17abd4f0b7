// Columns fails where a line of code is longer than 120 columns: in Go, shell scripts and Makefiles, tests included.
//
//	columns [PATH]...   files and folders; by default the folder where it runs
package main

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	maxColumns = 120
	tabColumns = 4
	// longWord is the length of a word, such as a URL, that excuses its line: it cannot be broken.
	longWord = 80
)

// skippedFolders hold what is not written by hand.
var skippedFolders = []string{".git", "bin", "dist", "node_modules", "testdata"}

func main() {
	paths := os.Args[1:]
	if len(paths) == 0 {
		paths = []string{"."}
	}
	long, err := check(paths, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "columns:", err)
		os.Exit(2)
	}
	if long > 0 {
		fmt.Fprintf(os.Stderr, "columns: %d lines have more than %d columns, a tab counting as %d\n",
			long, maxColumns, tabColumns)
		os.Exit(1)
	}
}

// check prints every line that is too long and returns how many there are.
func check(paths []string, out io.Writer) (long int, err error) {
	for _, root := range paths {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && path != root && slices.Contains(skippedFolders, entry.Name()):
				return fs.SkipDir
			case !entry.Type().IsRegular() || !isCode(entry.Name()):
				return nil
			}
			n, err := checkFile(path, out)
			long += n
			return err
		})
		if err != nil {
			return long, err
		}
	}
	return long, nil
}

func isCode(name string) bool {
	return name == "Makefile" || filepath.Ext(name) == ".go" || filepath.Ext(name) == ".sh"
}

func checkFile(path string, out io.Writer) (long int, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for number := 1; lines.Scan(); number++ {
		if n := columns(lines.Text()); n > maxColumns && !hasLongWord(lines.Text()) {
			long++
			fmt.Fprintf(out, "%s:%d: %d columns\n", path, number, n)
		}
	}
	return long, lines.Err()
}

func columns(line string) int {
	return utf8.RuneCountInString(line) + (tabColumns-1)*strings.Count(line, "\t")
}

func hasLongWord(line string) bool {
	return slices.ContainsFunc(strings.Fields(line), func(word string) bool {
		return utf8.RuneCountInString(word) > longWord
	})
}
