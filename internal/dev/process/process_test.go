//go:build unix

package process

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFreeAddresses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, taken, _ := net.SplitHostPort(l.Addr().String())
	preferred := append(make([]string, 20), taken, taken)
	addresses, err := FreeAddresses(preferred...)
	require.NoError(t, err)
	seen := map[string]bool{l.Addr().String(): true}
	for _, address := range addresses {
		require.True(t, strings.HasPrefix(address, "127.0.0.1:"))
		free, err := net.Listen("tcp", address)
		require.NoError(t, err)
		defer free.Close()
		seen[address] = true
	}
	require.Len(t, seen, 1+len(preferred), "all are different, and none is the one that is taken")
}

func TestPreferredPortIsUsed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	free := l.Addr().String()
	require.NoError(t, l.Close())
	_, port, _ := net.SplitHostPort(free)
	addresses, err := FreeAddresses(port)
	require.NoError(t, err)
	require.Equal(t, []string{free}, addresses)
}

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("old\n", 30)+strings.Repeat("new\n", 20)), 0o600))
	tail := Tail(path)
	require.NotContains(t, tail, "old")
	require.Equal(t, 20, strings.Count(tail, "new"))
}
