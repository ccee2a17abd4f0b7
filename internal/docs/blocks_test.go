//go:build unix

package docs

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

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
	// otherCode matches the beginning of code in a form that blocks does not read.
	otherCode = regexp.MustCompile("^\\s*(```|~~~|<pre|<code)")
)

// blocks finds the code blocks of a text in Markdown, without their indentation. Code that it would miss is an error.
func blocks(markdown string) ([]block, error) {
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
		case in != nil && m != nil && m[2] == "":
			all = append(all, *in)
			in, before = nil, ""
		case in != nil:
			in.text += strings.TrimPrefix(line, indent) + "\n"
		case otherCode.MatchString(line):
			return nil, fmt.Errorf("line %d begins code in a form that is not tested: %s", i+1, line)
		case strings.TrimSpace(line) != "":
			before = strings.TrimSpace(line)
		}
	}
	if in != nil {
		return nil, fmt.Errorf("line %d begins a block that does not end", in.line-1)
	}
	return all, nil
}

func TestBlocks(t *testing.T) {
	t.Parallel()
	got, err := blocks("text\n```sh\na\n\nb\n```\n  <!-- not run: it needs a cloud -->\n  ```yaml\n  x:\n    y\n" +
		"  ```\n<!-- other -->\n\n```\nz\n```\n")
	require.NoError(t, err)
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
	}, got)
	for text, want := range map[string]string{
		"```sh\na\n":              "line 1 begins a block that does not end",
		"a\n~~~\nb\n~~~\n":        "line 2 begins code in a form that is not tested: ~~~",
		"```sh title=x\na\n```\n": "line 1 begins code in a form that is not tested: ```sh title=x",
		"<pre>a</pre>":            "line 1 begins code in a form that is not tested: <pre>a</pre>",
	} {
		_, err := blocks(text)
		require.EqualError(t, err, want)
	}
}
