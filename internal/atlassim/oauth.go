package atlassim

import (
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	tokenPath  = "/api/oauth/token"
	revokePath = "/api/oauth/revoke"
)

// isOAuth says whether a request goes to an endpoint that checks its credential itself.
func isOAuth(r *http.Request) bool { return r.URL.Path == tokenPath || r.URL.Path == revokePath }

// RevokeTokens makes every token issued so far answer 401, as when somebody rotates the service account's secret.
// Config.AccessToken stays good.
func (s *Server) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.auth.tokens)
}

// TokensIssued is how many tokens POST /api/oauth/token has handed out.
func (s *Server) TokensIssued() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.auth.issued
}

// oauthAnswer is an answer of the OAuth endpoints. The shape of a refusal is RFC 6749's (assumed).
func oauthAnswer(status int, body map[string]any) *answer {
	return &answer{status: status, header: http.Header{}, contentType: "application/json", body: marshal(body)}
}

func refuseOAuth(status int, code string) *answer {
	return oauthAnswer(status, map[string]any{"error": code})
}

// oauthLocked answers a service account, which presents itself by HTTP Basic id:secret: it buys a token with
// grant_type=client_credentials (docs), or gives one back (RFC 7009, assumed).
func (s *Server) oauthLocked(r *http.Request, body []byte) *answer {
	if r.Method != http.MethodPost {
		return refuseOAuth(http.StatusMethodNotAllowed, "invalid_request")
	}
	id, secret, _ := r.BasicAuth()
	if s.cfg.ClientID == "" || !sameBasic(id, s.cfg.ClientID) || !sameBasic(secret, s.cfg.ClientSecret) {
		return refuseOAuth(http.StatusUnauthorized, "invalid_client")
	}
	form, err := url.ParseQuery(string(body))
	switch {
	case err != nil:
		return refuseOAuth(http.StatusBadRequest, "invalid_request")
	case r.URL.Path == revokePath:
		delete(s.auth.tokens, form.Get("token")) // one that is unknown is no error
		return oauthAnswer(http.StatusOK, map[string]any{})
	case form.Get("grant_type") != "client_credentials":
		return refuseOAuth(http.StatusBadRequest, "unsupported_grant_type")
	}
	return s.issueTokenLocked()
}

// issueTokenLocked answers with a new token, or with 429 where there were too many.
func (s *Server) issueTokenLocked() *answer {
	now := s.cfg.Now()
	for len(s.auth.requests) > 0 && now.Sub(s.auth.requests[0]) >= time.Minute {
		s.auth.requests = s.auth.requests[1:]
	}
	if s.cfg.TokensPerMinute > 0 && len(s.auth.requests) >= s.cfg.TokensPerMinute {
		e := failf(429, "RATE_LIMITED", "Too many requests.")
		wait := s.auth.requests[0].Add(time.Minute).Sub(now).Seconds()
		e.header = http.Header{"Retry-After": {strconv.Itoa(int(math.Ceil(wait)))}}
		return e.answer()
	}
	s.auth.requests = append(s.auth.requests, now)

	token := randomToken()
	s.auth.tokens[token] = s.cfg.TokenTTL.after(now)
	s.auth.issued++
	return oauthAnswer(http.StatusOK, map[string]any{
		"access_token": token, "token_type": "Bearer", "expires_in": int(time.Duration(s.cfg.TokenTTL).Seconds()),
	})
}

// sameBasic takes a value plain, as curl sends it, and form-encoded, as RFC 6749 has it and golang.org/x/oauth2 sends
// it.
func sameBasic(sent, want string) bool {
	return same(sent, want) || same(sent, url.QueryEscape(want))
}
