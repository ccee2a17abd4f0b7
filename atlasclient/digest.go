package atlasclient

import (
	"net/http"
	"sync"

	"github.com/icholy/digest"
)

// APIKey is a programmatic API key, sent by HTTP digest.
// https://www.mongodb.com/docs/atlas/configure-api-access/
type APIKey struct{ PublicKey, PrivateKey string }

func (k APIKey) transport(_ string, next http.RoundTripper) http.RoundTripper {
	return &digestTransport{key: k, next: next}
}

// maxDigestTries bounds how often one request answers another challenge after a refusal. A request that was signed well
// can be refused: the challenge has ended, or the server takes it for a replay when many are under way.
const maxDigestTries = 3

// digestTransport signs requests by HTTP digest. A server may demand that the requests that answer one challenge come
// with rising counts, so a challenge serves one request at a time. A request that finds no idle challenge fetches one
// of its own, so the next requests save that round trip, and none waits for another.
type digestTransport struct {
	key  APIKey
	next http.RoundTripper

	mu     sync.Mutex
	idle   []*challenge // no request uses them now; the one that was used last stands last
	worked bool         // the key was right in this process
}

// challenge is a challenge of the server with the number of requests that answered it.
type challenge struct {
	said  *digest.Challenge
	count int
}

// RoundTrip signs and sends a request. A 401 that brings another challenge is answered with that, a few times.
func (t *digestTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	c := t.take()
	for tries := 0; ; tries++ {
		authorization, err := t.authorization(req, c)
		if err != nil {
			return nil, err
		}
		resp, err := sendSigned(t.next, req, authorization)
		if err != nil {
			return nil, err // c is not used again: nobody knows whether the server has seen its count
		}
		if resp.StatusCode != http.StatusUnauthorized {
			t.give(c, resp.StatusCode < 300)
			return resp, nil
		}
		if code := codeOf(resp); c != nil && aboutProject(code) {
			t.give(c, true)
			return resp, nil
		}
		//mutate:digest-refused
		if c = findChallenge(resp.Header); c == nil || tries == maxDigestTries {
			t.give(c, false)
			return resp, nil
		}
	}
}

// passes reports whether a 401 passes by itself.
func (t *digestTransport) passes(resp *http.Response, code string) bool {
	if resp.StatusCode != http.StatusUnauthorized || aboutProject(code) {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	//mutate:digest-worked
	return t.worked || stale(resp.Header)
}

// take is a challenge that no other request uses, nil where there is none.
func (t *digestTransport) take() *challenge {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := len(t.idle) - 1
	if last < 0 {
		return nil
	}
	c := t.idle[last]
	//mutate:challenge-one-at-a-time
	t.idle = t.idle[:last]
	return c
}

// give gives a challenge back, and takes note of a key that was right.
func (t *digestTransport) give(c *challenge, worked bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c != nil {
		//mutate:challenge-reuse
		t.idle = append(t.idle, c)
		t.worked = t.worked || worked
	}
}

// authorization is the header that answers a challenge, "" where there is none to answer.
func (t *digestTransport) authorization(req *http.Request, c *challenge) (string, error) {
	if c == nil {
		return "", nil
	}
	c.count++
	credentials, err := digest.Digest(c.said, digest.Options{
		Method: req.Method, URI: req.URL.RequestURI(), GetBody: req.GetBody, Count: c.count,
		Username: t.key.PublicKey, Password: t.key.PrivateKey,
	})
	if err != nil {
		return "", err
	}
	return credentials.String(), nil
}

// findChallenge is the challenge of a 401, nil where there is none that can be answered: the 401 is then the answer.
func findChallenge(h http.Header) *challenge {
	c, err := digest.FindChallenge(h)
	if err != nil {
		return nil
	}
	return &challenge{said: c}
}

// stale reports whether the server says that the key was right, and the challenge too old.
func stale(h http.Header) bool {
	c, err := digest.FindChallenge(h)
	return err == nil && c.Stale
}
