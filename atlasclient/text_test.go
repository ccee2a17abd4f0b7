package atlasclient_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
)

// requirePlain holds that a text is what Temporal takes and a terminal shows.
func requirePlain(t *testing.T, text string) {
	t.Helper()
	require.LessOrEqual(t, len(text), 4<<10)
	require.True(t, utf8.ValidString(text), "%q", text)
	require.NotContains(t, text, "\u202e")
	require.Equal(t, -1, strings.IndexFunc(text, unicode.IsControl), "%q", text)
}

// texts are all texts in v.
func texts(v reflect.Value) []string {
	var all []string
	switch v.Kind() {
	case reflect.String:
		all = append(all, v.String())
	case reflect.Pointer:
		if !v.IsNil() {
			all = texts(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			all = append(all, texts(v.Index(i))...)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				all = append(all, texts(v.Field(i))...)
			}
		}
	}
	return all
}

// requireAllPlain holds that all texts in v are plain, and those of an error short.
func requireAllPlain(t *testing.T, v any) {
	t.Helper()
	for _, text := range texts(reflect.ValueOf(v)) {
		requirePlain(t, text)
	}
	if e, ok := v.(*atlasclient.Error); ok {
		requirePlain(t, e.Error())
		if e.Err != nil {
			requirePlain(t, e.Err.Error())
		}
		require.LessOrEqual(t, len(e.Parameters), 20)
	}
}

// badTexts are texts that no failure should hold and no terminal should show.
func badTexts() map[string]string {
	return map[string]string{
		"not UTF-8":          "caf\xe9 \xff\xfe.",
		"escape sequences":   "\x1b[31mred\x1b[0m \x1b]0;title\x07",
		"control characters": "a\x00b\tc\r\nd\x7fe\u0085f\u009bg\u2028h",
		"from right to left": "user\u202etxt.exe",
		"long":               strings.Repeat("long ", 200_000),
		"long, not UTF-8":    strings.Repeat("\xff", 100_000),
		"long, wide":         strings.Repeat("☃", 100_000),
	}
}

// asJSON is a JSON string with the bytes of s as they are, but for what JSON must escape.
func asJSON(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ':
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// Whatever bytes come in an error, its texts are plain and short, and the status stands.
func TestErrorTexts(t *testing.T) {
	t.Parallel()
	for name, text := range badTexts() {
		quoted, shorter := asJSON(text), asJSON(text[:min(len(text), 100_000)])
		for place, test := range map[string]struct {
			status int
			header http.Header
			body   string
		}{
			"each field": {400, nil, fmt.Sprintf(
				`{"errorCode":%[1]s,"detail":%[1]s,"reason":%[1]s,"parameters":[%[1]s,[%[1]s]]}`, shorter)},
			"detail":          {400, nil, `{"detail":` + quoted + `}`},
			"OAuth's words":   {400, nil, fmt.Sprintf(`{"error":%s,"error_description":%s}`, shorter, quoted)},
			"X-Error-Code":    {400, http.Header{"X-Error-Code": {text}}, ""},
			"redirect":        {302, http.Header{"Location": {"/" + text}}, ""},
			"no JSON":         {200, nil, text},
			"another cluster": {200, nil, `{"stateName":"IDLE","name":` + shorter + `}`},
			"key of the JSON": {200, nil, `{"name":{` + shorter + `:7}}`},
			"challenge": {401,
				http.Header{"Www-Authenticate": {`Digest realm="` + text + `", nonce="` + text + `"`}}, ""},
			"parameters": {400, nil, `{"parameters":[` + strings.Repeat(`1,`, 100_000) + `1]}`},
		} {
			for _, credential := range []string{"none", "service account", "API key"} {
				t.Run(name+"/"+place+"/"+credential, func(t *testing.T) {
					t.Parallel()
					c := overTransport(t, credentials()[credential], func(*http.Request) *http.Response {
						return reply(test.status, test.header.Clone(), test.body)
					})
					e := asError(t, get(c, t.Context()))
					require.Equal(t, test.status, e.Status)
					requireAllPlain(t, e)
				})
			}
		}
	}
}

// What Go's libraries quote of an answer is plain as well.
func TestTextsOfOtherErrors(t *testing.T) {
	t.Parallel()
	for name, text := range badTexts() {
		for place, answer := range map[string]string{
			"status line": "HTTP/1.1 " + text + "\r\n\r\n",
			"version":     text + "\r\n\r\n",
			"header":      "HTTP/1.1 200 OK\r\n" + text + "\r\n\r\n",
			"length":      "HTTP/1.1 200 OK\r\nContent-Length: " + text + "\r\n\r\n",
			"encoding":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: " + text + "\r\n\r\n",
			"chunk":       "HTTP/1.1 500 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + text + "\r\n",
		} {
			t.Run(name+"/"+place, func(t *testing.T) {
				t.Parallel()
				c := overServer(t, nil, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					conn, _, err := http.NewResponseController(w).Hijack()
					if assert.NoError(t, err) {
						_, _ = io.WriteString(conn, answer)
						_ = conn.Close()
					}
				}))
				requireAllPlain(t, asError(t, get(c, t.Context())))
			})
		}
	}
}

// The texts of a cluster, and what Atlas says of an endpoint, are plain as well.
func TestClusterTexts(t *testing.T) {
	t.Parallel()
	for name, text := range badTexts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			quoted := asJSON(text[:min(len(text), 20_000)])
			body := fmt.Sprintf(`{"name":"orders","id":%[1]s,"groupId":%[1]s,"stateName":%[1]s,"mongoDBVersion":%[1]s,
				"connectionStrings":{"standard":%[1]s,"standardSrv":%[1]s},"tags":[{"key":%[1]s,"value":%[1]s}],
				"providerSettings":{"providerName":%[1]s,"backingProviderName":%[1]s,"regionName":%[1]s}}`, quoted)
			c := overTransport(t, nil, func(r *http.Request) *http.Response {
				answer := body
				if strings.HasSuffix(r.URL.Path, "/flexClusters") {
					answer = `{"results":[` + body + `],"totalCount":1}`
				}
				return reply(200, http.Header{"Sunset": {text}, "Deprecation": {text}}, answer)
			})
			cluster, resp, err := c.GetFlexCluster(t.Context(), group, "orders")
			require.NoError(t, err)
			requireAllPlain(t, cluster)
			requireAllPlain(t, resp)
			require.NotEmpty(t, cluster.Tags[0].Value)
			all, resp, err := c.ListFlexClusters(t.Context(), group)
			require.NoError(t, err)
			requireAllPlain(t, all)
			requireAllPlain(t, resp)
			encoded, err := json.Marshal(cluster)
			require.NoError(t, err)
			require.True(t, utf8.Valid(encoded))
		})
	}
}

// Good text stays as it is.
func TestPlainTextIsKept(t *testing.T) {
	t.Parallel()
	const text = "Größe ☃ 日本語 👩‍👩‍👧 a+b=c; \"quoted\" \\ <b>"
	c := setup(t,
		step{want: getOrders, status: 400, answer: `{"errorCode":"E","detail":` + asJSON(text) + `}`},
		step{want: getOrders,
			answer: `{"name":"orders","stateName":"IDLE","tags":[{"key":"k","value":` + asJSON(text) + `}]}`},
	)
	require.Equal(t, text, asError(t, get(c, t.Context())).Detail)
	cluster, _, err := c.GetFlexCluster(t.Context(), group, "orders")
	require.NoError(t, err)
	require.Equal(t, text, cluster.Tags[0].Value)
}
