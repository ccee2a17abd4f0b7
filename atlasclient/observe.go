package atlasclient

import "time"

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
