package codecserver

import (
	"context"
	"maps"
	"net/http"
)

// callerKey is the key of the caller's headers in a context.
type callerKey struct{}

// callerHeaders sends the caller's credentials in place of the worker's, and the worker's other headers.
type callerHeaders struct {
	worker interface {
		GetHeaders(context.Context) (map[string]string, error)
	} // nil for none
}

// GetHeaders returns the headers of a request to Temporal.
func (c callerHeaders) GetHeaders(ctx context.Context) (map[string]string, error) {
	headers := map[string]string{}
	if c.worker != nil {
		own, err := c.worker.GetHeaders(ctx)
		if err != nil {
			return nil, err
		}
		maps.Copy(headers, own)
	}
	caller, _ := ctx.Value(callerKey{}).(http.Header)
	// Temporal's authorization reads these two.
	for _, name := range []string{"authorization", "authorization-extras"} {
		delete(headers, name)
		if value := caller.Get(name); value != "" {
			headers[name] = value
		}
	}
	return headers, nil
}
