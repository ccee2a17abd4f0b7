package atlasclient_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
)

// rawServer is a server that notes the lines of each request's head as they are on the wire. It challenges for a digest
// once.
func rawServer(t *testing.T) (url string, sent func() [][]string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var mu sync.Mutex
	var all [][]string
	var serving sync.WaitGroup
	t.Cleanup(serving.Wait)
	t.Cleanup(func() { _ = l.Close() })
	serve := func(conn net.Conn) {
		defer conn.Close()
		var head []string
		r := bufio.NewReader(conn)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			if line == "\r\n" {
				break
			}
			head = append(head, strings.TrimSuffix(line, "\r\n"))
		}
		mu.Lock()
		all = append(all, head)
		first := len(all) == 1
		mu.Unlock()
		answer := "HTTP/1.1 404 Not Found\r\n"
		if first {
			answer = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: " +
				`Digest realm="MMS Public API", domain="", nonce="n", algorithm=MD5, qop="auth", stale=false` + "\r\n"
		}
		_, _ = io.WriteString(conn, answer+"Connection: close\r\nContent-Length: 0\r\n\r\n")
	}
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { serve(conn) })
		}
	})
	return "http://" + l.Addr().String(), func() [][]string {
		mu.Lock()
		defer mu.Unlock()
		return all
	}
}

// Nothing in a name, a project id or a credential adds a header or a line to the request on the wire.
func TestInjection(t *testing.T) {
	t.Parallel()
	for _, evil := range []string{
		"x\r\nEvil: 1", "x HTTP/1.1\r\nEvil: 1\r\n\r\nGET /evil", "x\nEvil: 1", "x\rEvil: 1", "x\r\n\tEvil: 1",
		"../../evil", "..", "%2e%2e%2fevil", "x?evil=1", "x#evil", "x/evil", `x\..\evil`,
		"//evil.example/", "@evil.example",
		"x\x00Evil", "\u2028Evil: 1", "x\xc4\x8d\xc4\x8aEvil: 1", "\xff\xfe", "x;evil",
	} {
		for name, test := range map[string]struct {
			auth           atlasclient.Auth
			project, named string
		}{
			"name":        {nil, group, evil},
			"project":     {nil, evil, "orders"},
			"public key":  {atlasclient.APIKey{PublicKey: evil, PrivateKey: privateKey}, group, "orders"},
			"private key": {atlasclient.APIKey{PublicKey: "public", PrivateKey: evil}, group, "orders"},
			"client id":   {atlasclient.ServiceAccount{ClientID: evil, ClientSecret: clientSecret}, group, "orders"},
			"client secret": {atlasclient.ServiceAccount{ClientID: "mdb_sa_id_1", ClientSecret: evil},
				group, "orders"},
			"access token":   {atlasclient.AccessToken(evil), group, "orders"},
			"name, with key": {atlasclient.APIKey{PublicKey: "public", PrivateKey: privateKey}, group, evil},
		} {
			t.Run(name+"/"+evil, func(t *testing.T) {
				t.Parallel()
				url, sent := rawServer(t)
				c := newClient(t, atlasclient.Options{BaseURL: url, Auth: test.auth})
				_, _, err := c.GetFlexCluster(t.Context(), test.project, test.named)
				require.Error(t, err)
				for _, head := range sent() {
					method, rest, _ := strings.Cut(head[0], " ")
					path, proto, _ := strings.Cut(rest, " ")
					require.Equal(t, "HTTP/1.1", proto)
					if path == "/api/oauth/token" {
						require.Equal(t, "POST", method)
					} else {
						require.Equal(t, "GET", method)
						segments := strings.Split(path, "/")
						require.Len(t, segments, 8, path) // "", api, atlas, v2, groups, …, flexClusters, …
						require.NotContains(t, segments, "..")
						require.NotContains(t, path, "?")
					}
					for _, line := range head[1:] {
						header, _, found := strings.Cut(line, ":")
						require.True(t, found, "%q", line)
						require.Contains(t, []string{
							"Host",
							"User-Agent",
							"Accept",
							"Authorization",
							"Accept-Encoding",
							"Content-Type",
							"Content-Length",
						}, header)
						require.NotContains(t, line, "\r")
					}
				}
			})
		}
	}
}
