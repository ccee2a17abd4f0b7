package testenv

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"

	"github.com/stretchr/testify/require"
)

// update is the flag -update: go test ./internal/starter -run Help -update
var update bool

// Golden compares a text with the file of that name in testdata. With -update it writes the file.
func Golden(t TB, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

// Buffer is a buffer that can be read while it is written, such as the log of a program that runs.
type Buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write adds p.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String returns what was written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
