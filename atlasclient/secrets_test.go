package atlasclient_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim/atlassimtest"
)

const (
	privateKey   = "0f1e2d3c-private-key"
	clientSecret = "mdb_sa_sk_client-secret"
	accessToken  = "eyJhbGciOi.access+token/=="
)

// credentials are one of each kind, by name.
func credentials() map[string]atlasclient.Auth {
	return map[string]atlasclient.Auth{
		"none":            nil,
		"API key":         atlasclient.APIKey{PublicKey: "public", PrivateKey: privateKey},
		"service account": atlasclient.ServiceAccount{ClientID: "mdb_sa_id_1", ClientSecret: clientSecret},
		"access token":    atlasclient.AccessToken(accessToken),
	}
}

// guard is a server that hands requests with a credential to next. It challenges for a digest and issues tokens, unless
// token does that.
func guard(auth atlasclient.Auth, token, next http.HandlerFunc) http.Handler {
	if token == nil {
		token = answers(200, fmt.Sprintf(tokenReply, accessToken))
	}
	challenge := answers(401, "{}", "WWW-Authenticate",
		`Digest realm="MMS Public API", domain="", nonce="n0nce", algorithm=MD5, qop="auth", stale=false`)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, digest := auth.(atlasclient.APIKey)
		switch {
		case r.URL.Path == "/api/oauth/token":
			token(w, r)
		case digest && r.Header.Get("Authorization") == "":
			challenge(w, r)
		default:
			next(w, r)
		}
	})
}

// echoes are answers that repeat what the request was signed with, as a careless proxy might.
func echoes() []failing {
	echo := func(status int, body string, headers ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			said := r.Header.Get("Authorization")
			quoted, err := json.Marshal(said)
			if err != nil {
				panic(err)
			}
			for i := 0; i < len(headers); i += 2 {
				w.Header().Set(headers[i], strings.ReplaceAll(headers[i+1], "SAID", said))
			}
			answers(status, strings.ReplaceAll(body, `"SAID"`, string(quoted)))(w, r)
		}
	}
	return []failing{
		{name: "in every field",
			answer: echo(403, `{"errorCode":"SAID","detail":"SAID","reason":"SAID","parameters":["SAID",["SAID"]]}`)},
		{name: "in X-Error-Code", answer: echo(403, "", "X-Error-Code", "SAID")},
		{name: "in a redirect", answer: echo(302, "", "Location", "/login?as=SAID")},
		{name: "in the words of OAuth", answer: echo(400, `{"error":"SAID","error_description":"SAID"}`)},
		{
			name:   "in the words of OAuth, with 200",
			answer: echo(200, `{"error":"SAID","error_description":"SAID","id":7}`),
		},
		{name: "in no JSON", answer: echo(200, `"SAID"`, "Content-Type", "application/json")},
		{name: "in a truncated body", answer: echo(500, `"SAID"`, "Content-Length", "10000")},
		{name: "in no HTTP", answer: func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				panic(err)
			}
			defer conn.Close()
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\n%s\r\n\r\n", r.Header.Get("Authorization"))
		}},
		{name: "in HTML", answer: echo(502, `<p>"SAID"</p>`, "Content-Type", "text/html")},
	}
}

// No error holds what the request was signed with: it ends up in a workflow's history, for all to read.
func TestNoCredentialInErrors(t *testing.T) {
	t.Parallel()
	for name, auth := range credentials() {
		if auth == nil {
			continue
		}
		for _, test := range append(failures(), echoes()...) {
			t.Run(name+"/"+test.name, func(t *testing.T) {
				t.Parallel()
				requireNoCredential(t, auth, guard(auth, nil, test.answer))
			})
			if name == "service account" {
				t.Run("token/"+test.name, func(t *testing.T) {
					t.Parallel()
					requireNoCredential(t, auth, guard(auth, test.answer, nil))
				})
			}
		}
	}
}

var digestResponse = regexp.MustCompile(`response="([0-9a-f]{32})"`)

func requireNoCredential(t *testing.T, auth atlasclient.Auth, h http.Handler) {
	synctest.Test(t, func(t *testing.T) {
		wire := &wireRecorder{next: atlassimtest.Pipe(t, h)}
		err := get(newClient(t, atlasclient.Options{BaseURL: "http://localhost", Auth: auth, Transport: wire}),
			t.Context())

		secrets := map[string]bool{privateKey: true, clientSecret: true, accessToken: true}
		for _, r := range wire.sent {
			if header := r.Header.Get("Authorization"); header != "" {
				_, credential, _ := strings.Cut(header, " ")
				secrets[header], secrets[credential] = true, true
				if m := digestResponse.FindStringSubmatch(header); m != nil {
					secrets[m[1]] = true
				}
			}
		}
		require.Greater(t, len(secrets), 3, "a credential went over the wire")
		asError(t, err)
		said := allPrinted(t, err)
		for secret := range secrets {
			require.NotContains(t, said, secret)
		}
	})
}

// allPrinted is an error and what it wraps, printed in every way.
func allPrinted(t *testing.T, err error) string {
	var b strings.Builder
	for ; err != nil; err = errors.Unwrap(err) {
		fmt.Fprintf(&b, "%v\n%+v\n%#v\n", err, err, err)
		var e *atlasclient.Error
		if errors.As(err, &e) {
			fmt.Fprintf(&b, "%+v\n", struct{ any }{*e}) // past its Error method
		}
	}
	return b.String()
}

// A credential that no header can carry fails before anything is sent.
func TestCredentialThatCannotBeSent(t *testing.T) {
	t.Parallel()
	for name, auth := range map[string]atlasclient.Auth{
		"access token": atlasclient.AccessToken(accessToken + "\n"),
		"issued token": atlasclient.ServiceAccount{ClientID: "id", ClientSecret: clientSecret},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := setupAuth(t, auth, map[string][]step{"issued token": {token(accessToken + `\n`)}}[name]...)
			err := get(c, t.Context())
			require.EqualError(t, err,
				getOrders+`: no answer: net/http: invalid header field value for "Authorization"`)
			require.NotContains(t, allPrinted(t, err), accessToken)
		})
	}
}
