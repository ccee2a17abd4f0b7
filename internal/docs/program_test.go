//go:build unix

package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// packages may be used by a piece of a Go program without an import.
var packages = map[string]string{
	"errors": "errors", "log": "log", "json": "encoding/json", "slog": "log/slog",
	"contract":    "github.com/atlas-provisioner/atlas-provisioner/contract",
	"provisioner": "github.com/atlas-provisioner/atlas-provisioner/provisioner",
	"codec":       "github.com/atlas-provisioner/atlas-provisioner/codec",
	"temporal":    "go.temporal.io/sdk/temporal",
}

const frame = `package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"go.temporal.io/sdk/client"
%s)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	options := client.Options{HostPort: os.Getenv("TEMPORAL_ADDRESS")}
	temporalClient, err := client.Dial(options)
	if err == nil {
		defer temporalClient.Close()
		err = piece(ctx, temporalClient, options)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func piece(ctx context.Context, temporalClient client.Client, options client.Options) error {
	{
//line %s:%d
%s
%s
	}
	return nil
}
`

// program runs a Go program, or a piece of one.
func (r *reader) program(t *testing.T, b block) {
	t.Helper()
	checkFormat(t, b)
	source := b.text
	if !strings.Contains(source, "package main") {
		source = r.framed(t, b)
	}
	file := filepath.Join(t.TempDir(), "main.go")
	require.NoError(t, os.WriteFile(file, []byte(source), 0o600))
	got := r.run(t, "go", "-C", r.root, "run", file)
	require.Zero(t, got.code, got)
}

// framed makes a program of a piece. It uses the variables that the piece leaves unused, and returns the piece's
// error.
func (r *reader) framed(t *testing.T, b block) string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "", fmt.Sprintf("package p\nfunc _() error {\n%s\n}", b.text), 0)
	require.NoError(t, err)
	var unused string
	for _, s := range f.Decls[0].(*ast.FuncDecl).Body.List {
		assignment, ok := s.(*ast.AssignStmt)
		if !ok || assignment.Tok != token.DEFINE {
			continue
		}
		for _, e := range assignment.Lhs {
			switch name := e.(*ast.Ident).Name; name {
			case "_":
			case "err":
				if !strings.Contains(unused, "return err") {
					unused += "if err != nil { return err }\n"
				}
			default:
				unused += "_ = " + name + "\n"
			}
		}
	}
	var imports []string
	for name, path := range packages {
		if regexp.MustCompile(`\b` + name + `\.`).MatchString(b.text) {
			imports = append(imports, fmt.Sprintf("\t%q\n", path))
		}
	}
	slices.Sort(imports)
	return fmt.Sprintf(frame, strings.Join(imports, ""), r.document, b.line, b.text, unused)
}
