package atlasclient

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/icholy/digest"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// Auth is one way to sign requests: [APIKey], [ServiceAccount] or
// [AccessToken].
type Auth interface {
	// transport signs what goes through next. base is the API's root.
	transport(base string, next http.RoundTripper) http.RoundTripper
}

// APIKey is a programmatic API key, sent by HTTP digest.
// https://www.mongodb.com/docs/atlas/configure-api-access/
type APIKey struct{ PublicKey, PrivateKey string }

func (k APIKey) transport(_ string, next http.RoundTripper) http.RoundTripper {
	return &oneChallenge{
		digest: &digest.Transport{
			Username: k.PublicKey, Password: k.PrivateKey,
			Transport: reread401{next}, FindChallenge: findChallenge,
		},
		turn:  make(chan struct{}, 1),
		known: make(chan struct{}),
	}
}

// findChallenge takes a challenge that is of no use for none: the 401 is then
// the answer, and not the challenge's error.
func findChallenge(h http.Header) (*digest.Challenge, error) {
	c, err := digest.FindChallenge(h)
	if err != nil {
		err = digest.ErrNoChallenge
	}
	return c, err
}

// reread401 keeps the body of a 401. The digest transport drains and closes it
// before it looks for a challenge; where there is none, the 401 is the answer.
type reread401 struct{ next http.RoundTripper }

func (t reread401) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	body, _ := readBounded(req.Context(), resp.Body) // what cannot be read says nothing that the status does not
	resp.Body.Close()
	resp.Body = rewound{bytes.NewReader(body)}
	return resp, nil
}

type rewound struct{ *bytes.Reader }

func (r rewound) Close() error {
	_, err := r.Seek(0, io.SeekStart)
	return err
}

// oneChallenge lets the first request fetch the challenge alone. The digest
// transport reuses a challenge but, asked by many at once before it has one,
// would fetch one for each.
type oneChallenge struct {
	digest *digest.Transport
	turn   chan struct{} // holds one token: whose turn it is to fetch
	known  chan struct{} // closed once there is a challenge
	once   sync.Once
}

func (t *oneChallenge) RoundTrip(req *http.Request) (*http.Response, error) {
	select {
	case <-t.known:
	case <-req.Context().Done():
		return nil, req.Context().Err()
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
		resp, err := t.digest.RoundTrip(req)
		if err == nil {
			t.once.Do(func() { close(t.known) })
		}
		return resp, err
	}
	return t.digest.RoundTrip(req)
}

// AccessToken is a ready bearer token. It cannot be renewed.
type AccessToken string

func (t AccessToken) transport(_ string, next http.RoundTripper) http.RoundTripper {
	token := &oauth2.Token{AccessToken: string(t)}
	return &oauth2.Transport{Source: oauth2.StaticTokenSource(token), Base: next}
}

// ServiceAccount is an OAuth 2.0 service account (client credentials). One
// token, good for an hour, serves all requests of a client: Atlas gives out
// about 10 a minute. It is renewed before it ends, and once when Atlas rejects
// it early.
// https://www.mongodb.com/docs/atlas/api/service-accounts-overview/
type ServiceAccount struct{ ClientID, ClientSecret string }

const tokenPath = "/api/oauth/token"

func (a ServiceAccount) transport(base string, next http.RoundTripper) http.RoundTripper {
	return &sharedToken{
		config: clientcredentials.Config{
			ClientID:     a.ClientID,
			ClientSecret: a.ClientSecret,
			TokenURL:     base + tokenPath,
			AuthStyle:    oauth2.AuthStyleInHeader,
		},
		next: next,
		turn: make(chan struct{}, 1),
	}
}

type sharedToken struct {
	config clientcredentials.Config
	next   http.RoundTripper

	turn  chan struct{} // full while a token is fetched, so that one asks for all
	token *oauth2.Token // only whose turn it is
}

func (t *sharedToken) RoundTrip(req *http.Request) (*http.Response, error) {
	token, err := t.get(req.Context(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := t.send(req, token)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || !tokenRejected(resp) {
		return resp, err
	}
	if token, err = t.get(req.Context(), token); err != nil {
		return nil, err
	}
	return t.send(req, token)
}

func (t *sharedToken) send(req *http.Request, token *oauth2.Token) (*http.Response, error) {
	req = req.Clone(req.Context())
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		req.Body = body
	}
	token.SetAuthHeader(req)
	return t.next.RoundTrip(req)
}

// get answers the shared token, fetched anew where there is none, it is about
// to end, or it is the one that was rejected.
func (t *sharedToken) get(ctx context.Context, rejected *oauth2.Token) (*oauth2.Token, error) {
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if t.token.Valid() && t.token != rejected {
		return t.token, nil
	}
	if err := ctx.Err(); err != nil { // it waited for its turn too long
		return nil, err
	}
	last := &lastAnswer{next: t.next}
	token, err := t.config.Token(context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: last, CheckRedirect: stay}))
	if err != nil {
		return nil, tokenError(ctx, err, last.resp, t.config.ClientSecret)
	}
	t.token = token
	return token, nil
}

// tokenRejected tells a 401 about the token from one about the project, which
// a new token would not help. It leaves the body as it was.
func tokenRejected(resp *http.Response) bool {
	body, err := readBounded(resp.Request.Context(), resp.Body)
	resp.Body.Close()
	if err != nil {
		return true
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	var e Error
	e.read(resp)
	e.parse(body)
	return e.ErrorCode != CodeNotInGroup && e.ErrorCode != codeNotOrgGroupCreator
}

// lastAnswer keeps the answer: package oauth2 drops one that it cannot read, and
// its status.
type lastAnswer struct {
	next http.RoundTripper
	resp *http.Response
}

func (t *lastAnswer) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	t.resp = resp
	return resp, err
}

// tokenError is the token endpoint's answer as an [*Error], which holds nothing
// of the request's credential.
func tokenError(ctx context.Context, err error, answer *http.Response, secret string) error {
	e := &Error{Method: http.MethodPost, Path: tokenPath}
	if answer == nil {
		return e.because(reason(ctx, err))
	}
	e.read(answer)
	var refused *oauth2.RetrieveError
	switch {
	case !errors.As(err, &refused):
		e.because(reason(ctx, err))
	case e.Status < 400:
		e.because(errors.New("the answer holds no token"))
	default:
		e.parse(refused.Body)
		if e.Detail == "" { // OAuth has words of its own
			e.Detail = cmp.Or(refused.ErrorDescription, refused.ErrorCode)
		}
	}
	_, basic, _ := strings.Cut(answer.Request.Header.Get("Authorization"), " ")
	e.redact(secret, basic)
	return e
}
