package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	root := t.TempDir()
	word := strings.Repeat("x", 59)
	for path, content := range map[string]string{
		"fits.go":            "\t" + word[4:] + " " + word + "x\n",                  // 120 columns
		"tab.go":             "\n\t" + word[3:] + " " + word + "x\n",                // 121 with the tab
		"umlauts.sh":         strings.Repeat("ü", 60) + " " + word + "\n",           // 120 columns, 180 bytes
		"Makefile":           word + " " + word + " x\n",                            // 121
		"url.go":             "// " + word + " https://" + word + word + "\n",       // a word that cannot be broken
		"notes.txt":          word + " " + word + " " + word + "\n",                 // no code
		"testdata/input.go":  word + " " + word + " " + word + "\n",                 // not written by hand
		"folder/deep/b.go":   "a\nb\n" + word + " " + word + " " + word + "\n",      // 179
		"node_modules/c.go":  word + " " + word + " " + word + "\n",                 // not ours
		"folder/testdata.go": strings.Repeat("y ", 60) + "\n" + word + "\n" + "z\n", // 120
	} {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	long, err := check([]string{root}, &out)
	if err != nil {
		t.Fatal(err)
	}
	want := "Makefile:1: 121 columns\nfolder/deep/b.go:3: 179 columns\ntab.go:2: 121 columns\n"
	if got := strings.ReplaceAll(out.String(), root+"/", ""); long != 3 || got != want {
		t.Errorf("%d lines:\n%swant:\n%s", long, got, want)
	}
}

func TestCheckMissingFile(t *testing.T) {
	if _, err := check([]string{filepath.Join(t.TempDir(), "none")}, &strings.Builder{}); err == nil {
		t.Error("a path that is not there is no error")
	}
}
