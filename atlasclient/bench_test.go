package atlasclient_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
)

// This measures one request and its answer over the loopback interface, with the work of the server:
//
//	go test ./atlasclient -run '^$' -bench . -benchmem
func BenchmarkGetFlexCluster(b *testing.B) {
	for name, auth := range credentials() {
		b.Run(name, func(b *testing.B) {
			c := newClient(b,
				atlasclient.Options{Auth: auth, BaseURL: serve(b, guard(auth, nil, answers(200, flexAnswer)))})
			require.NoError(b, get(c, b.Context()))
			b.ReportAllocs()
			for b.Loop() {
				if err := get(c, b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("parallel", func(b *testing.B) {
		c := newClient(b, atlasclient.Options{BaseURL: serve(b, answers(200, flexAnswer))})
		b.ReportAllocs()
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				if err := get(c, b.Context()); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

// This measures a request whose answer is an error with JSON.
func BenchmarkError(b *testing.B) {
	body := `{"detail":"Taken.","error":400,"errorCode":"DUPLICATE_CLUSTER_NAME",
		"parameters":["cluster orders","` + group + `"],"reason":"Bad Request"}`
	c := newClient(b,
		atlasclient.Options{BaseURL: serve(b, answers(400, body, "X-Error-Code", "DUPLICATE_CLUSTER_NAME"))})
	b.ReportAllocs()
	for b.Loop() {
		if !atlasclient.IsError(get(c, b.Context()), atlasclient.CodeDuplicateClusterName) {
			b.Fatal("not the error")
		}
	}
}

// This measures the decoding of a page of 500 clusters, without a network.
func BenchmarkListFlexClusters(b *testing.B) {
	page := fmt.Sprintf(`{"results":[%s%s],"totalCount":500}`, strings.Repeat(flexAnswer+",", 499), flexAnswer)
	empty := `{"results":[],"totalCount":500}`
	c := overTransport(b, nil, func(r *http.Request) *http.Response {
		body := page
		if r.URL.Query().Get("pageNum") != "1" {
			body = empty
		}
		return reply(200, nil, body)
	})
	b.ReportAllocs()
	b.SetBytes(int64(len(page)))
	for b.Loop() {
		if err := list(c, b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
