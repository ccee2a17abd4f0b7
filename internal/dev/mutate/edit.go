package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// marker is the comment beside a safeguard: //mutate:NAME, at the end of its first line or on a line above.
var marker = regexp.MustCompile(`//mutate:([a-z0-9-]+)\b`)

// place is where a marker is.
type place struct {
	path string // below the root of the repository
	line int
}

func (p place) String() string { return fmt.Sprintf("%s:%d", p.path, p.line) }

// findMarkers returns the places of all markers in the Go files of the repository, by name.
func findMarkers(root string) (map[string][]place, error) {
	places := map[string][]place{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && !holdsSafeguards(entry.Name()):
			return fs.SkipDir
		case filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		below, err := filepath.Rel(root, path)
		for i, line := range strings.Split(string(source), "\n") {
			for _, found := range marker.FindAllStringSubmatch(line, -1) {
				places[found[1]] = append(places[found[1]], place{path: below, line: i + 1})
			}
		}
		return err
	})
	return places, err
}

// holdsSafeguards leaves out the folders that are no part of the product, this one among them.
func holdsSafeguards(folder string) bool {
	switch folder {
	case "bin", "dist", "testdata", "node_modules", "dev", "tools":
		return false
	}
	return !strings.HasPrefix(folder, ".")
}

// edit takes a safeguard out. It gets the source of the file and the statement that the marker belongs to, and returns
// the changed source.
type edit func(source string, target ast.Node) (string, error)

// value replaces the value that the marked code has: the condition of an if, for or case, or the value that is
// returned, assigned, declared or given to a field. In the new expression, $ is the present one.
func value(expression string) edit {
	return func(source string, target ast.Node) (string, error) {
		present := valueOf(target)
		if present == nil {
			return "", fmt.Errorf("a %T has no value to replace", target)
		}
		old := source[present.Pos()-1 : present.End()-1]
		return splice(source, present, strings.ReplaceAll(expression, "$", "("+old+")")), nil
	}
}

// valueOf returns nil where there is none.
func valueOf(n ast.Node) ast.Expr {
	first := func(list []ast.Expr) ast.Expr {
		if len(list) == 0 {
			return nil
		}
		return list[0]
	}
	switch n := n.(type) {
	case *ast.IfStmt:
		return n.Cond
	case *ast.ForStmt:
		return n.Cond
	case *ast.CaseClause:
		return first(n.List)
	case *ast.ReturnStmt:
		return first(n.Results)
	case *ast.AssignStmt:
		return first(n.Rhs)
	case *ast.ValueSpec:
		return first(n.Values)
	case *ast.KeyValueExpr:
		return n.Value
	}
	return nil
}

// drop leaves the marked statement out. The statement moves into a function that is never called, so that what it uses
// is still used.
func drop() edit {
	return func(source string, target ast.Node) (string, error) {
		if _, ok := target.(ast.Stmt); !ok {
			return "", fmt.Errorf("a %T is no statement", target)
		}
		return splice(source, target, "_ = func() { "+source[target.Pos()-1:target.End()-1]+" }"), nil
	}
}

// insert puts code before the marked statement.
func insert(code string) edit {
	return func(source string, target ast.Node) (string, error) {
		return splice(source, target, code+"\n"+source[target.Pos()-1:target.End()-1]), nil
	}
}

// replace changes a part of the marked code, which must be there once.
func replace(old, changed string) edit {
	return func(source string, target ast.Node) (string, error) {
		text := source[target.Pos()-1 : target.End()-1]
		if n := strings.Count(text, old); n != 1 {
			return "", fmt.Errorf("the marked code holds %q %d times", old, n)
		}
		return splice(source, target, strings.Replace(text, old, changed, 1)), nil
	}
}

// splice replaces a node of a file that was parsed alone, so that its positions are offsets plus one.
func splice(source string, n ast.Node, text string) string {
	return source[:n.Pos()-1] + text + source[n.End()-1:]
}

// apply edits the code that the marker on a line belongs to.
func apply(source string, line int, e edit) (string, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "", source, parser.SkipObjectResolution)
	if err != nil {
		return "", err
	}
	target := nodeAt(files, file, codeLine(source, line))
	if target == nil {
		return "", fmt.Errorf("line %d: the marker stands beside no statement, declaration or field", line)
	}
	changed, err := e(source, target)
	if err != nil {
		return "", fmt.Errorf("line %d: %w", line, err)
	}
	if _, err := parser.ParseFile(token.NewFileSet(), "", changed, parser.SkipObjectResolution); err != nil {
		return "", fmt.Errorf("line %d: the edit makes no Go of it: %w", line, err)
	}
	return changed, nil
}

// codeLine is the first line from the marker's on that holds more than a comment.
func codeLine(source string, line int) int {
	lines := strings.Split(source, "\n")
	for line < len(lines) {
		text := strings.TrimSpace(lines[line-1])
		if text != "" && !strings.HasPrefix(text, "//") {
			break
		}
		line++
	}
	return line
}

// nodeAt is the outermost statement, declaration or field that begins on a line.
func nodeAt(files *token.FileSet, file *ast.File, line int) (found ast.Node) {
	ast.Inspect(file, func(n ast.Node) bool {
		if n == nil || found != nil {
			return false
		}
		switch n.(type) {
		case *ast.BlockStmt, *ast.DeclStmt: // what is in them counts
		case ast.Stmt, *ast.ValueSpec, *ast.KeyValueExpr:
			if files.Position(n.Pos()).Line == line {
				found = n
			}
		}
		return found == nil
	})
	return found
}
