//go:build unix

package docs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// The test runs every code block of the README, in order, in one folder and with the variables that the blocks before
// it exported. It leaves a block out only for a reason, in a comment before the block: <!-- not run: REASON -->.
//
//	sh       runs, and must succeed
//	console  runs each command, which follows "$ "; its output must have the lines
//	         that follow, in that order, with others between them. "…" stands for
//	         anything, and a number or an id for any other
//	go       runs, as a program or in a function that has ctx, temporalClient and
//	         the options of that client
//	yaml     parses; a document that is an input must be a valid one. Where the
//	json     line before ends in `NAME.yaml`: it is saved under that name
func TestREADME(t *testing.T) {
	t.Parallel()
	u.dependOnAllFiles(t)
	data, err := os.ReadFile(filepath.Join(u.root, "README.md"))
	require.NoError(t, err)
	all := blocks(string(data))
	require.NotEmpty(t, all)
	for _, b := range all {
		t.Run(fmt.Sprintf("line %d", b.line), func(t *testing.T) {
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf(
						"README.md:%d:\n%s\nif it cannot run, say why in a line before it: <!-- not run: REASON -->",
						b.line,
						b.text,
					)
				}
			})
			b.try(t)
		})
	}
}

// block is one fenced code block.
type block struct {
	line    int    // of its first line of code
	before  string // the line of text before it
	kind    string
	text    string
	skipped string // why it is not run
}

var (
	fence  = regexp.MustCompile("^( *)```([a-z]*)$")
	reason = regexp.MustCompile(`^<!-- not run: (.+) -->$`)
)

// blocks finds the code blocks of a text in Markdown, without their indentation.
func blocks(markdown string) []block {
	var all []block
	var in *block
	indent, before := "", ""
	for i, line := range strings.Split(markdown, "\n") {
		switch m := fence.FindStringSubmatch(line); {
		case in == nil && m != nil:
			in = &block{line: i + 2, before: before, kind: m[2]}
			if why := reason.FindStringSubmatch(before); why != nil {
				in.skipped = why[1]
			}
			indent = m[1]
		case in != nil && m != nil:
			all = append(all, *in)
			in, before = nil, ""
		case in != nil:
			in.text += strings.TrimPrefix(line, indent) + "\n"
		case strings.TrimSpace(line) != "":
			before = strings.TrimSpace(line)
		}
	}
	return all
}

func (b block) try(t *testing.T) {
	switch {
	case b.skipped != "" && b.kind == "sh":
		got := u.run(t, "bash", "-n", "-c", b.text)
		require.Zero(t, got.code, got)
	case b.skipped != "":
	case b.kind == "sh":
		got := u.shell(t, b.text)
		require.Zero(t, got.code, got)
	case b.kind == "console":
		b.console(t)
	case b.kind == "go":
		b.program(t)
	case b.kind == "yaml", b.kind == "json":
		b.document(t)
	default:
		require.Fail(t, "no way to run it", "a block of the kind %q: name one of sh, console, go, yaml, json", b.kind)
	}
}

// shell runs a script with the variables that the scripts before it exported.
func (u *user) shell(t *testing.T, script string) result {
	t.Helper()
	const before, after = `[ ! -e .exported ] || . ./.exported`, `trap 'export -p >.exported' EXIT`
	return u.run(t, "bash", "-c", before+"\nset -euo pipefail\n"+after+"\n"+script)
}

// console runs each command, and looks for the lines that the block shows after it in its output.
func (b block) console(t *testing.T) {
	t.Helper()
	for command := range strings.SplitSeq("\n"+b.text, "\n$ ") {
		if command = strings.TrimSpace(command); command == "" {
			continue
		}
		var shown []string
		lines := strings.Split(command, "\n")
		for i, line := range lines {
			if !strings.HasSuffix(line, `\`) {
				command, shown = strings.Join(lines[:i+1], "\n"), lines[i+1:]
				break
			}
		}
		got := u.shell(t, command+" 2>&1")
		if len(shown) == 0 {
			require.Zero(t, got.code, got)
		}
		require.Empty(t, missing(shown, strings.Split(got.stdout, "\n")), "%s\n%s", command, got)
	}
}

// missing returns the first line that the block shows and that is not in the output after the lines before it.
func missing(shown, got []string) string {
	for _, line := range shown {
		pattern := strings.ReplaceAll(regexp.QuoteMeta(varying.ReplaceAllString(line, "#")), "…", ".*")
		want := regexp.MustCompile("^" + pattern + "$")
		for {
			if len(got) == 0 {
				return line
			}
			next := strings.TrimRight(varying.ReplaceAllString(got[0], "#"), " ")
			got = got[1:]
			if want.MatchString(next) {
				break
			}
		}
	}
	return ""
}

// varying finds what differs from run to run: a number, or an id.
var varying = regexp.MustCompile(`[0-9a-f]*[0-9][0-9a-f]*`)

// document checks YAML or JSON, and saves it where it has a name.
func (b block) document(t *testing.T) {
	t.Helper()
	d := yaml.NewDecoder(strings.NewReader(b.text)) // JSON is YAML
	for {
		var v any
		err := d.Decode(&v)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		object, _ := v.(map[string]any)
		if object["groupId"] == nil {
			continue
		}
		data, err := json.Marshal(object)
		require.NoError(t, err)
		if object["clusterType"] != nil {
			d := json.NewDecoder(bytes.NewReader(data))
			d.DisallowUnknownFields()
			require.NoError(t, d.Decode(&contract.Cluster{}))
			continue
		}
		_, err = contract.Parse[contract.ProvisionFlexClusterInput](data, "id")
		if _, upgrade := contract.Parse[contract.UpgradeToServerlessInput](data, "id"); upgrade != nil {
			require.NoError(t, err)
		}
	}
	if name := named.FindStringSubmatch(b.before); name != nil {
		require.NoError(t, os.WriteFile(filepath.Join(u.home, name[1]), []byte(b.text), 0o600))
	}
}

var named = regexp.MustCompile("`([\\w-]+\\.(?:ya?ml|json))`:$")

// The blocks of a text, and the lines that an output lacks, are found as the test of the README needs it.
func TestBlocks(t *testing.T) {
	t.Parallel()
	require.Equal(t, []block{
		{line: 3, before: "text", kind: "sh", text: "a\n\nb\n"},
		{
			line:    9,
			before:  "<!-- not run: it needs a cloud -->",
			kind:    "yaml",
			text:    "x:\n  y\n",
			skipped: "it needs a cloud",
		},
		{line: 15, before: "<!-- other -->", text: "z\n"},
	}, blocks("text\n```sh\na\n\nb\n```\n  <!-- not run: it needs a cloud -->\n  ```yaml\n  x:\n    y\n  ```\n<!-- "+
		"other -->\n\n```\nz\n```\n"))
	require.Empty(t, missing([]string{"one 12", "id 6b03e0f…"}, []string{"", "one 3", "between", "id 1f2e3d4c  "}))
	require.Equal(t, "two", missing([]string{"two", "one"}, []string{"one", "two words"}))
	require.Equal(t, "one", missing([]string{"two", "one"}, []string{"one", "two"}))
}
