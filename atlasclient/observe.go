package atlasclient

import (
	"context"
	"net/http"
	"time"
)

// Observation is one request as its caller saw it, with all its round trips. It
// holds nothing that is secret, and but for the project nothing that has more
// than a few values.
type Observation struct {
	Method string
	// Endpoint is the path below the API's root with names in place of values,
	// such as /groups/{groupId}/flexClusters/{name}, or /api/oauth/token where
	// there was no token to send the request with.
	Endpoint string
	// GroupID is the project, "" for the token endpoint.
	GroupID string
	// Status is the HTTP status, 0 where there was no answer.
	Status int
	// Duration is how long all of it took.
	Duration time.Duration
	// RateLimit is what is left to ask for, nil where the answer does not say.
	RateLimit *RateLimit
	// RetryAfter is what Atlas asks to wait, nil where it does not ask.
	RetryAfter *time.Duration
}

type endpointKey struct{}

func withEndpoint(ctx context.Context, endpoint string) context.Context {
	return context.WithValue(ctx, endpointKey{}, endpoint)
}

// Endpoint is the endpoint of a request that passes [Options].Transport, in the form of [Observation].Endpoint. A
// request that fetches a token has the token's endpoint, unlike the observation of the request that needs the token.
func Endpoint(req *http.Request) string {
	endpoint, _ := req.Context().Value(endpointKey{}).(string)
	return endpoint
}
