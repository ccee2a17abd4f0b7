package atlasclient

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ServiceAccount is an OAuth 2.0 service account (client credentials). One token, good for an hour, serves all requests
// of a client: Atlas gives out about 10 a minute. It is renewed before it ends, and once when Atlas rejects it early.
// https://www.mongodb.com/docs/atlas/api/service-accounts-overview/
type ServiceAccount struct{ ClientID, ClientSecret string }

const (
	tokenPath = "/api/oauth/token"
	// renewBefore is how long before its end a token is renewed, so that it does not end on its way.
	renewBefore = 10 * time.Second
	// maxTokenLife is far beyond an hour, and far from overflow.
	maxTokenLife = 365 * 24 * time.Hour
)

func (a ServiceAccount) transport(base string, next http.RoundTripper) http.RoundTripper {
	return &sharedToken{
		account: a, url: base + tokenPath, next: next,
		client:   &http.Client{Transport: next, CheckRedirect: stay}, //mutate:no-token-redirect
		fetching: make(chan struct{}, 1),
	}
}

// sharedToken signs requests with one token for all.
type sharedToken struct {
	account ServiceAccount
	url     string
	next    http.RoundTripper
	client  *http.Client // fetches the token

	fetching chan struct{} // full while a request looks at the token or fetches one, so that one fetches for all
	current  *token        // only for whoever filled fetching; nil at first
}

type token struct {
	value   string
	ends    time.Time // zero where Atlas did not say
	fetched time.Time
	date    time.Time // when it was fetched by Atlas's clock; zero where Atlas did not say
}

func (t *token) ended() bool {
	return t == nil || !t.ends.IsZero() && time.Until(t.ends) < renewBefore
}

func (t *sharedToken) RoundTrip(req *http.Request) (*http.Response, error) {
	token, err := t.get(req.Context(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := sendSigned(t.next, req, "Bearer "+token.value)
	//mutate:token-renewal
	//mutate:token-not-in-group
	if err != nil || resp.StatusCode != http.StatusUnauthorized || aboutProject(codeOf(resp)) {
		return resp, err
	}
	if token, err = t.get(req.Context(), token); err != nil {
		return nil, err
	}
	return sendSigned(t.next, req, "Bearer "+token.value)
}

// FetchToken fetches the token of a service account, so that a wrong credential shows before the first request. Where
// there is a token already, it fetches none, and the Response has no Date. Other credentials need no token: then the
// Response is nil.
func (c *Client) FetchToken(ctx context.Context) (*Response, error) {
	if c.token == nil {
		return nil, nil
	}
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	token, err := c.token.get(ctx, nil)
	var failed *Error
	switch {
	case errors.As(err, &failed):
		failed.makePlain()
		if c.observe != nil {
			c.observe(ctx, Observation{
				Method: failed.Method, Endpoint: failed.Path, Status: failed.Status,
				Duration: time.Since(begun), RetryAfter: failed.RetryAfter,
			})
		}
		return nil, failed
	case err != nil:
		return nil, err
	case token.fetched.Before(begun):
		return &Response{}, nil
	}
	return &Response{Status: http.StatusOK, Date: token.date}, nil
}

// get is the shared token. It is fetched anew where there is none, where it is about to end, and where it is the one
// that was rejected.
func (t *sharedToken) get(ctx context.Context, rejected *token) (*token, error) {
	select {
	case t.fetching <- struct{}{}:
		defer func() { <-t.fetching }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	//mutate:one-token
	if !t.current.ended() && t.current != rejected {
		return t.current, nil
	}
	if err := ctx.Err(); err != nil { // it waited for another's fetch too long
		return nil, err
	}
	fetched, err := t.fetch(ctx)
	if err != nil {
		return nil, err
	}
	t.current = fetched
	return fetched, nil
}

// fetch asks for a token. It fails with an [*Error] that holds nothing of the credential.
func (t *sharedToken) fetch(ctx context.Context) (*token, error) {
	failed := &Error{Method: http.MethodPost, Path: tokenPath}
	form := url.Values{"grant_type": {"client_credentials"}}.Encode()
	req, err := http.NewRequestWithContext(
		withEndpoint(ctx, tokenPath), http.MethodPost, t.url, strings.NewReader(form))
	if err != nil {
		return nil, failed.because(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	// The two are form-encoded in the header (RFC 6749, section 2.3.1).
	req.SetBasicAuth(url.QueryEscape(t.account.ClientID), url.QueryEscape(t.account.ClientSecret))
	_, basic, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	//mutate:redact-secret
	defer failed.redact(t.account.ClientSecret, basic)

	resp, err := t.client.Do(req)
	if err != nil {
		return nil, failed.because(reason(ctx, err))
	}
	defer resp.Body.Close()
	failed.readHeader(resp)
	body, ok := failed.readBody(ctx, resp)
	if !ok {
		failed.parseOAuth(body)
		return nil, failed
	}
	var answer struct {
		AccessToken string          `json:"access_token"`
		ExpiresIn   json.RawMessage `json:"expires_in"`
	}
	if err := decode(body, &answer, nil); err != nil {
		return nil, failed.because(err)
	}
	if answer.AccessToken == "" {
		return nil, failed.because(errors.New("the answer holds no token"))
	}
	now := time.Now()
	date, _ := http.ParseTime(resp.Header.Get("Date"))
	return &token{answer.AccessToken, tokenEnd(answer.ExpiresIn, now), now, date}, nil
}

// tokenEnd is when a token ends, whose life is in seconds: a number, whole or not, or one in a string. Where the life
// cannot be read, the token serves until Atlas rejects it.
func tokenEnd(life json.RawMessage, now time.Time) time.Time {
	seconds, err := strconv.ParseFloat(strings.Trim(string(life), `" `), 64)
	if err != nil || !(seconds > 0) {
		return time.Time{}
	}
	return now.Add(time.Duration(min(seconds, maxTokenLife.Seconds()) * float64(time.Second)))
}

// oauthCodes are the codes with which a token endpoint refuses (RFC 6749, section 5.2).
var oauthCodes = []string{
	"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type",
	"invalid_scope",
}

// parseOAuth takes what a refusal of the token endpoint says in the words of OAuth, where it has none of Atlas's.
func (e *Error) parseOAuth(body []byte) {
	var a struct {
		Error            string `json:"error"`
		ErrorDescription string `json:"error_description"`
	}
	_ = json.Unmarshal(body, &a) // Atlas has a number there
	e.FromAtlas = e.FromAtlas || slices.Contains(oauthCodes, a.Error)
	e.Detail = cmp.Or(e.Detail, a.ErrorDescription, a.Error)
}
