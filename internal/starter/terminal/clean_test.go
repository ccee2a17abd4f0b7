package terminal

import (
	"bytes"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestClean(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                       "",
		"orders — Ä😀":            "orders — Ä😀",
		"a\x1b[2Jb":              `a\x1b[2Jb`,
		"a\r\n\tb":               `a\r\n\tb`,
		"\x7f\u0085\u009b":       `\x7f\u0085\u009b`,
		"\u202eevil\u2066\ufeff": `\u202eevil\u2066\ufeff`,
		"a\xff\xc3(":             `a\xff\xc3(`,
		"\ufffd \"\\":            "\ufffd \"\\",
	} {
		require.Equal(t, want, Clean(text), "%q", text)
		require.Equal(t, want, Clean(Clean(text)), "what is clean stays as it is")
	}
	require.Equal(t, "a\\x1b\n\t\tb\\t\n", CleanLines("a\x1b\n\t\tb\t\n"), "lines and their indentation stay")
}

func TestCut(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text  string
		width int
		want  string
	}{
		{"CREATING, 8s", 80, "CREATING, 8s"},
		{"CREATING, 8s", 13, "CREATING, 8s"},
		{"CREATING, 8s", 12, "CREATING, …"}, // the last column stays free
		{"ÄÖÜäöü", 5, "ÄÖÜ…"},
		{"abc", 2, "…"},
		{"abc", 1, "abc"}, // no width that makes sense
		{"abc", 0, "abc"},
		{"", 10, ""},
	} {
		require.Equal(t, test.want, Cut(test.text, test.width), "%q in %d", test.text, test.width)
	}
}

// Printf cleans what it is given, and not what it is told to write.
func TestPrintf(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	o := NewOutput(&b, func(string) string { return "" })
	o.Printf("%-4s|%d|%v\n", "a\n", 7, errors.New("b\x1b"))
	require.Equal(t, "a\\n |7|b\\x1b\n", b.String())
	require.NoError(t, o.Err())
}
