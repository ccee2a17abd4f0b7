package atlassim

import (
	"math"
	"net/http"
	"strconv"
	"time"
)

// bucket is a token bucket: capacity requests at once, refill back a minute.
type bucket struct {
	capacity, refill int
	tokens           float64
	at               time.Time
}

// Endpoints outside the flex family have buckets too large to matter here (recorded: RateLimit-Limit 10000 on the
// cluster API; the refill is assumed).
const otherRateLimit = 10000

// spendTokenLocked spends one token of the family's bucket for the project and sets the RateLimit headers. It returns
// an error when the bucket is empty. The endpoints of a family share one bucket a project (docs); those of no family
// have no limit (recorded, v1.0).
func (s *Server) spendTokenLocked(group, family, path string, header http.Header) *apiError {
	now := s.cfg.Now()
	if family == "" || family == familyFlex && s.cfg.RateLimit == 0 {
		return nil
	}
	b := s.buckets[group+"/"+family]
	if b == nil {
		b = &bucket{capacity: otherRateLimit, refill: otherRateLimit, at: now}
		if family == familyFlex {
			b.capacity, b.refill = s.cfg.RateLimit, s.cfg.RefillPerMinute
		}
		b.tokens = float64(b.capacity)
		s.buckets[group+"/"+family] = b
	}
	perSecond := float64(b.refill) / 60
	b.tokens = min(float64(b.capacity), b.tokens+now.Sub(b.at).Seconds()*perSecond)
	b.at = now

	// A hair's breadth for the float: ten refills of a tenth are one token.
	enough := b.tokens >= 1-1e-9
	if enough {
		b.tokens--
	}
	if !s.cfg.NoRateLimitHeaders {
		header.Set("RateLimit-Limit", strconv.Itoa(b.capacity))
		header.Set("RateLimit-Remaining", strconv.Itoa(max(0, int(b.tokens+1e-9))))
	}
	if enough {
		return nil
	}
	// Rounded, so a wait of 120 ms is announced as "Retry-After: 0", which Atlas does too (public runs).
	after := int(math.Round((1 - b.tokens) / perSecond))
	return errRateLimited(path, after, b.capacity, b.refill)
}
