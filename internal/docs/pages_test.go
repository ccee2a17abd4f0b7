//go:build unix

package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

// The README is read in a few minutes.
func TestREADMEIsShort(t *testing.T) {
	t.Parallel()
	u.dependOnAllFiles(t)
	require.LessOrEqual(t, len(read(t, "README.md")), 8<<10, "move what a new user does not need into docs/")
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	code    = regexp.MustCompile("(?s)```.*?```")
)

// Every link to a file of the repository finds it, and every link to a heading finds that.
func TestLinks(t *testing.T) {
	t.Parallel()
	u.dependOnAllFiles(t)
	for _, name := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(read(t, name), ""), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			path, anchor, _ := strings.Cut(m[1], "#")
			target := name
			if path != "" {
				target = filepath.Join(filepath.Dir(name), path)
			}
			_, err := os.Stat(filepath.Join(u.root, target))
			require.NoError(t, err, "%s links to %s", name, m[1])
			if anchor != "" {
				require.Contains(t, anchors(read(t, target)), anchor, "%s links to %s", name, m[1])
			}
		}
	}
}

// anchors are the names by which GitHub knows the headings of a document.
func anchors(markdown string) []string {
	var all []string
	for _, m := range heading.FindAllStringSubmatch(code.ReplaceAllString(markdown, ""), -1) {
		all = append(all, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, m[1]))
	}
	return all
}

func TestAnchors(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"output-exit-codes-completion", "provision-flex"},
		anchors("# Output, exit codes: `completion`\n```sh\n# no heading\n```\n## provision-flex\n"))
}

// No document says again what another says: no long line stands in two of them.
func TestNoDocumentRepeatsAnother(t *testing.T) {
	t.Parallel()
	u.dependOnAllFiles(t)
	const long = 60
	first := map[string]string{}
	for _, name := range documents(t) {
		for line := range strings.SplitSeq(code.ReplaceAllString(read(t, name), ""), "\n") {
			line = strings.TrimSpace(line)
			if len(line) < long || strings.HasPrefix(line, "<!--") {
				continue
			}
			if other, stands := first[line]; stands && other != name {
				t.Errorf("%s and %s both say: %s", other, name, line)
			}
			first[line] = name
		}
	}
}

// The files that strangers look for are there.
func TestFilesOfTheRepository(t *testing.T) {
	t.Parallel()
	u.dependOnAllFiles(t)
	require.Contains(t, read(t, "LICENSE"), "MIT License\n\nCopyright (c) 2026 the atlas-provisioner authors\n")
	require.Contains(t, read(t, "CHANGELOG.md"), "\n## [Unreleased]\n")
	require.Contains(t, read(t, "CONTRIBUTING.md"), "docs/development.md")
	require.Contains(t, read(t, "SECURITY.md"), "docs/reliability.md#security")
}
