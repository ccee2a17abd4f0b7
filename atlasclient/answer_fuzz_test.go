package atlasclient_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
)

// FuzzAnswer checks that the client makes a cluster or an [atlasclient.Error] of whatever Atlas, its token endpoint or
// a proxy answers. The error keeps the request and the status, bounds Retry-After and says nothing of the credential.
// In the answers of this test, SAID stands for what the request was signed with.
func FuzzAnswer(f *testing.F) {
	const digest = `Digest realm="MMS Public API", domain="", nonce="n", algorithm=MD5, qop="auth", stale=false`
	for _, body := range []string{
		"", "{}", "null", "7", `{"name":7}`, "<html>", "\xff\x00",
		`{"name":"orders","stateName":"IDLE","connectionStrings":null,"tags":[null,{}],"createDate":"yesterday"}`,
		`{"errorCode":"SAID","detail":"SAID","parameters":["SAID",null]}`,
		`{"error":"invalid_client","error_description":"SAID"}`,
		`{"access_token":"SAID","expires_in":"x"}`, `{"access_token":"t","token_type":"mac","expires_in":-1}`,
		`{"access_token":"\r\n"}`,
	} {
		for _, status := range []uint16{200, 204, 302, 401, 403, 503} {
			f.Add(uint8(status), status, "SAID", "7", "application/json", "/a?SAID", digest, body)
		}
	}
	f.Add(uint8(1), uint16(401), "", "", "", "", `Digest nonce="\"", qop=auth-int, algorithm=SHA-512-256`, "{}")
	f.Add(uint8(1), uint16(401), "", "", "", "", "Digest", "{}")

	f.Fuzz(func(t *testing.T, kind uint8, status uint16, code, wait, contentType, location, challenge, body string) {
		status = 200 + status%400
		auths := []atlasclient.Auth{
			atlasclient.AccessToken(accessToken), atlasclient.APIKey{PublicKey: "public", PrivateKey: privateKey},
			atlasclient.ServiceAccount{ClientID: "mdb_sa_id_1", ClientSecret: clientSecret},
		}
		secrets := []string{accessToken, privateKey, clientSecret}
		c := overTransport(t, auths[int(kind)%len(auths)], func(r *http.Request) *http.Response {
			if r.URL.Host != "cloud.mongodb.com" {
				t.Errorf("a request to %s", r.URL)
			}
			_, signed, _ := strings.Cut(r.Header.Get("Authorization"), " ")
			if len(signed) > 20 { // what is shorter stands in an answer by chance
				secrets = append(secrets, signed)
			}
			said := func(s string) string { return strings.ReplaceAll(s, "SAID", signed) }
			h := http.Header{}
			for name, value := range map[string]string{
				"X-Error-Code": code, "Retry-After": wait, "Content-Type": contentType, "Location": location,
				"Www-Authenticate": challenge,
			} {
				h.Set(name, said(value))
			}
			answer := said(body)
			if kind >= 128 && r.URL.Path == "/api/oauth/token" { // only what comes after the token goes wrong
				return reply(200, http.Header{}, `{"access_token":"`+accessToken+`"}`)
			}
			return reply(int(status), h, answer)
		})
		cluster, resp, err := c.GetFlexCluster(t.Context(), group, "orders")
		if err == nil {
			require.True(t, strings.EqualFold("orders", cluster.Name), cluster.Name)
			require.NotEmpty(t, cluster.StateName)
			requireAllPlain(t, cluster)
			requireAllPlain(t, resp)
			require.Equal(t, int(status), resp.Status)
			require.Less(t, resp.Status, 300)
			require.True(t, json.Valid([]byte(body)) || strings.Contains(body, "SAID"))
			return
		}
		var e *atlasclient.Error
		require.True(t, errors.As(err, &e), "%T", err)
		requireAllPlain(t, e)
		require.Contains(t, []string{getOrders, postToken}, e.Method+" "+e.Path)
		require.Contains(t, []int{0, 200, int(status)}, e.Status)
		require.True(t, e.Status >= 400 || e.Err != nil, "%+v", e)
		if e.RetryAfter != nil {
			require.GreaterOrEqual(t, *e.RetryAfter, time.Duration(0))
			require.LessOrEqual(t, *e.RetryAfter, 24*time.Hour)
		}
		all := allPrinted(t, err)
		for _, secret := range secrets {
			require.NotContains(t, all, secret)
		}
	})
}
