package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const root = "../../.."

// Each safeguard has one marker, whose code can be edited, and each marker belongs to a safeguard.
func TestSafeguardsAndMarkers(t *testing.T) {
	t.Parallel()
	places, err := findMarkers(root)
	require.NoError(t, err)
	for _, s := range safeguards {
		_, _, err := s.change(places[s.name], root)
		if err != nil {
			t.Errorf("%s: %v", s.what, err)
		}
		delete(places, s.name)
	}
	require.Empty(t, places, "markers without a safeguard in safeguards.go")
}

func TestTableIsUpToDate(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile(filepath.Join(root, reliability))
	require.NoError(t, err)
	want, err := withTable(string(document))
	require.NoError(t, err)
	require.Equal(t, want, string(document), "run: go run ./internal/dev/mutate -table")
}

func TestTableWithoutPlace(t *testing.T) {
	t.Parallel()
	_, err := withTable("# Reliability\n")
	require.ErrorContains(t, err, "the lines around the table are missing")
}

// The tests that fail without a safeguard are among those that the promises name.
func TestPromisesNameTheTests(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile(filepath.Join(root, reliability))
	require.NoError(t, err)
	promises, _, _ := strings.Cut(string(document), tableStart)
	for _, s := range safeguards {
		name, _, _ := strings.Cut(s.test, "/")
		require.True(t, strings.Contains(promises, name), "no promise names %s: %s", name, s.what)
	}
}

func TestDocumentNamesTestsThatExist(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile(filepath.Join(root, reliability))
	require.NoError(t, err)
	var tests strings.Builder
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		tests.Write(source)
		return err
	}))
	for _, name := range regexp.MustCompile(`\b(Test|Fuzz)[A-Z]\w+`).FindAllString(string(document), -1) {
		require.True(t, strings.Contains(tests.String(), "\nfunc "+name+"("), "there is no %s", name)
	}
}

func TestEdits(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name         string
		edit         edit
		before, want string
	}{
		{"condition of an if", value("$ && false"), "if a { b() }", "if (a) && false { b() }"},
		{"condition of an if with a declaration", value("$ || true"), "if a := b(); a > 1 { b() }",
			"if a := b(); (a > 1) || true { b() }"},
		{"condition of a for", value("false"), "for a < 3 { b() }", "for false { b() }"},
		{"returned value", value("1"), "return a()", "return 1"},
		{"assigned value", value("$ + 1"), "a := b(1)", "a := (b(1)) + 1"},
		{"declared value", value("100"), "const a = 3", "const a = 100"},
		{"statement", drop(), "a.b = c", "_ = func() { a.b = c }"},
		{"deferred call", drop(), "defer a(b)", "_ = func() { defer a(b) }"},
		{"code before", insert("c()"), "a(b)", "c()\na(b)"},
		{"part", replace("b", "c"), "return a(b, d)", "return a(c, d)"},
		{"part of a statement of several lines", replace("b,\n", "c,\n"), "a(\nb,\nd)", "a(\nc,\nd)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, marked := range []string{
				"\n//mutate:x\nMARKED", "\n//mutate:x\n//mutate:y\n\n// why\nMARKED", "\nMARKED",
			} {
				source := "package p\nfunc f() {" + marked + "\n}\n"
				line := 1 + strings.Count(source[:strings.Index(source, marked)+1], "\n")
				got, err := apply(strings.Replace(source, "MARKED", test.before, 1), line, test.edit)
				require.NoError(t, err)
				require.Equal(t, strings.Replace(source, "MARKED", test.want, 1), got)
			}
		})
	}
}

// The marked code can be a case, a field of a literal or a declaration of a group.
func TestEditsOfParts(t *testing.T) {
	t.Parallel()
	source := `package p

const (
	a = 1
	b = 2 //mutate:b
)

func f() t {
	switch {
	//mutate:case
	case a > b:
		return t{}
	}
	return t{
		//mutate:field
		x: 3,
		y: 4,
	}
}
`
	for line, test := range map[int]struct{ before, want string }{
		5:  {"b = 2 //", "b = 7 //"},
		10: {"case a > b:", "case 7:"},
		15: {"x: 3,", "x: 7,"},
	} {
		got, err := apply(source, line, value("7"))
		require.NoError(t, err)
		require.Equal(t, strings.Replace(source, test.before, test.want, 1), got)
	}
}

func TestEditsThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		edit         edit
		marked, want string
	}{
		{value("1"), "a()", "line 3: a *ast.ExprStmt has no value to replace"},
		{value("1"), "return", "line 3: a *ast.ReturnStmt has no value to replace"},
		{replace("b", "c"), "a(b, b)", `line 3: the marked code holds "b" 2 times`},
		{value("1 1"), "return a", "line 3: the edit makes no Go of it: "},
		{drop(), "", "line 3: the marker stands beside no statement, declaration or field"},
	} {
		_, err := apply("package p\nfunc f() {\n//mutate:x\n"+test.marked+"\n}\n", 3, test.edit)
		require.ErrorContains(t, err, test.want)
	}
}

func TestMarkerIsMissing(t *testing.T) {
	t.Parallel()
	s := safeguard{name: "x"}
	_, _, err := s.change(nil, root)
	require.EqualError(t, err, "want one comment //mutate:x beside the safeguard, found []")
	_, _, err = s.change([]place{{"a.go", 1}, {"b.go", 2}}, root)
	require.EqualError(t, err, "want one comment //mutate:x beside the safeguard, found [a.go:1 b.go:2]")
}
