package atlasclient

import (
	"bytes"
	"io"
	"net/http"
)

// Auth is one way to sign requests: [APIKey], [ServiceAccount] or [AccessToken].
type Auth interface {
	// transport signs what goes through next. base is the API's root.
	transport(base string, next http.RoundTripper) http.RoundTripper
}

// AccessToken is a ready bearer token. It cannot be renewed.
type AccessToken string

func (t AccessToken) transport(_ string, next http.RoundTripper) http.RoundTripper {
	return bearer{string(t), next}
}

type bearer struct {
	token string
	next  http.RoundTripper
}

func (t bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	return sendSigned(t.next, req, "Bearer "+t.token)
}

// sendSigned sends a copy of a request. The body is whole each time.
func sendSigned(next http.RoundTripper, req *http.Request, authorization string) (*http.Response, error) {
	signed := req.Clone(req.Context())
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		signed.Body = body
	}
	if authorization != "" {
		signed.Header.Set("Authorization", authorization)
	}
	return next.RoundTrip(signed)
}

// codeOf is the error code of a 401. It reads and closes the answer's body, and leaves it to be read by whoever comes
// next. A body that cannot be read says nothing that the status does not.
func codeOf(resp *http.Response) string {
	body, _ := readBounded(resp.Request.Context(), resp.Body)
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	var e Error
	e.readHeader(resp)
	e.parse(body)
	return e.ErrorCode
}
