package atlasclient

import (
	"net/http"
	"strconv"
)

// RateLimit is what an answer says of the token bucket that its request came
// out of. Atlas has one for each project and family of endpoints: reading and
// writing Flex clusters share one of 1200, with 500 back a minute
// (https://www.mongodb.com/docs/atlas/api/api-rate-limit/).
type RateLimit struct {
	// Limit is the size of the bucket, in requests.
	Limit int
	// Remaining is how many are left in it.
	Remaining int
}

// rateLimit reads the headers, which can be missing.
func rateLimit(h http.Header) *RateLimit {
	limit, err := strconv.Atoi(h.Get("RateLimit-Limit"))
	if err != nil || limit <= 0 {
		return nil
	}
	remaining, err := strconv.Atoi(h.Get("RateLimit-Remaining"))
	if err != nil || remaining < 0 {
		return nil
	}
	return &RateLimit{Limit: limit, Remaining: min(remaining, limit)}
}
