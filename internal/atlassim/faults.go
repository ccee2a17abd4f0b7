package atlassim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// FaultKind is what goes wrong.
type FaultKind string

// The kinds of fault. A fault strikes before the request takes effect unless its comment says otherwise;
// Fault.AfterEffect and Fault.BeforeEffect change that.
const (
	// FaultStatus answers an Atlas error: Fault.Status (503), ErrorCode (UNEXPECTED_ERROR), Reason (the status's
	// text), Detail, Parameters. IP_ADDRESS_NOT_ON_ACCESS_LIST and NOT_IN_GROUP bring the rest along.
	FaultStatus FaultKind = "status"
	// FaultHTML answers a proxy's HTML page: Fault.Status (502).
	FaultHTML FaultKind = "html"
	// FaultReset resets the connection without an answer. HTTP/1 only.
	FaultReset FaultKind = "reset"
	// FaultLost is FaultReset after the effect: the request was carried out, and its answer is lost.
	FaultLost FaultKind = "lost"
	// FaultHang holds the answer until the client goes away or Fault.Hang is over (0: the former only). Before the
	// effect, a client that went away leaves none; otherwise the request then goes on as usual.
	FaultHang FaultKind = "hang"
	// FaultTruncate announces the whole body and sends half of it; after the effect. An answer without a body is lost
	// altogether.
	FaultTruncate FaultKind = "truncate"
	// FaultOversize answers 200 with a JSON body of 5 MiB.
	FaultOversize FaultKind = "oversize"
	// FaultGarbage answers 200 with a body that is no JSON; after the effect.
	FaultGarbage FaultKind = "garbage"
	// FaultUnauthorized answers 401 with a fresh challenge, as Atlas does to a well-signed request that it takes for
	// a replay. Fault.Stale is what the challenge says. With Probability, a share of such requests is refused.
	FaultUnauthorized FaultKind = "unauthorized"
	// FaultBadText answers an error, Fault.Status (503), whose texts, in body and header, hold bytes that are not
	// UTF-8, control characters and the escape sequences of terminals. On the OAuth endpoints it has their shape.
	FaultBadText FaultKind = "badText"
	// FaultLongText answers an error, Fault.Status (503), with a detail of 3 MB.
	FaultLongText FaultKind = "longText"
	// FaultBody sends Fault.Body, such as {} or null, in place of the body; after the effect.
	FaultBody FaultKind = "body"
	// FaultRewrite sets the attributes in Fault.Set in the body that is an object, or in each result of a list; after
	// the effect. An answer that is an error stays as it is.
	FaultRewrite FaultKind = "rewrite"
	// FaultDropQuery carries the request out without its query, so that every page of a list is the first one.
	FaultDropQuery FaultKind = "dropQuery"
)

var faultKinds = []FaultKind{FaultStatus, FaultHTML, FaultReset, FaultLost, FaultHang, FaultTruncate, FaultOversize,
	FaultGarbage, FaultUnauthorized, FaultBadText, FaultLongText, FaultBody, FaultRewrite, FaultDropQuery}

// FaultKinds names the kinds of fault, with commas between them.
func FaultKinds() string {
	names := make([]string, len(faultKinds))
	for i, kind := range faultKinds {
		names[i] = string(kind)
	}
	return strings.Join(names, ", ")
}

// Fault is something that goes wrong with requests that match it. Of several that match a request, the first one
// added that is due strikes. Requests that fail authentication are neither hit nor counted.
type Fault struct {
	// Method is an HTTP method; "" is any.
	Method string `json:"method,omitempty"`
	// Path is a regular expression, sought anywhere in the unescaped path; "" is any. A plain piece of a path works
	// as itself.
	Path string `json:"path,omitempty"`
	// Auth is the kind of credential that a request presents; "" is any.
	Auth AuthKind `json:"auth,omitempty"`
	// Skip is how many matching requests go unharmed first.
	Skip int `json:"skip,omitempty"`
	// Times is how many requests it strikes; 0 is without end.
	Times int `json:"times,omitempty"`
	// Probability, from 0 to 1, lets chance decide for each request; 0 is always. The same Seed makes the same
	// decisions in the same order.
	Probability float64 `json:"probability,omitempty"`
	Seed        uint64  `json:"seed,omitempty"`

	Kind FaultKind `json:"kind"`
	// AfterEffect lets the request take effect before the fault strikes; BeforeEffect does not, for the kinds that
	// otherwise do.
	AfterEffect  bool `json:"afterEffect,omitempty"`
	BeforeEffect bool `json:"beforeEffect,omitempty"`

	// For the kinds that answer; see there for defaults.
	Status     int         `json:"status,omitempty"`
	ErrorCode  string      `json:"errorCode,omitempty"`
	Reason     string      `json:"reason,omitempty"`
	Detail     string      `json:"detail,omitempty"`
	Parameters []any       `json:"parameters,omitempty"`
	Header     http.Header `json:"header,omitempty"`
	// RetryAfter is the Retry-After header: seconds or an HTTP date.
	RetryAfter string `json:"retryAfter,omitempty"`
	// Stale is for FaultUnauthorized, Body for FaultBody, Set for FaultRewrite.
	Stale bool           `json:"stale,omitempty"`
	Body  string         `json:"body,omitempty"`
	Set   map[string]any `json:"set,omitempty"`
	// Hang is how long FaultHang takes, in real time whatever Config.Now says.
	Hang Duration `json:"hang,omitzero"`
}

// after says whether the request takes effect before the fault strikes.
func (f *Fault) after() bool {
	switch f.Kind {
	case FaultLost:
		return true
	case FaultTruncate, FaultGarbage, FaultBody, FaultRewrite:
		return !f.BeforeEffect
	}
	return f.AfterEffect
}

// Validate names everything that is wrong with f.
func (f Fault) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !slices.Contains(faultKinds, f.Kind) {
		bad("kind: %q is none of %s", f.Kind, FaultKinds())
	}
	if f.Kind == FaultRewrite && len(f.Set) == 0 {
		bad("set: the kind rewrite needs the attributes to set")
	}
	if _, err := regexp.Compile(f.Path); err != nil {
		bad("path: %w", err)
	}
	if f.Skip < 0 || f.Times < 0 || f.Hang < 0 {
		bad("skip, times and hang must not be negative")
	}
	if f.Probability < 0 || f.Probability > 1 {
		bad("probability: %v is not between 0 and 1", f.Probability)
	}
	if f.Status != 0 && (f.Status < 200 || f.Status > 599) {
		bad("status: %d is not between 200 and 599", f.Status)
	}
	if f.BeforeEffect && (f.AfterEffect || f.Kind == FaultLost) {
		bad("beforeEffect: contradicts afterEffect or the kind lost")
	}
	return errors.Join(errs...)
}

// faultState is a fault and what has become of it.
type faultState struct {
	Fault
	path           *regexp.Regexp
	chance         *rand.Rand
	seen, stricken int
}

// AddFault puts a fault in place, after those that are there. It panics on one that fails Validate.
func (s *Server) AddFault(f Fault) {
	if err := f.Validate(); err != nil {
		panic("atlassim: fault: " + err.Error())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &faultState{Fault: f, path: regexp.MustCompile(f.Path),
		chance: rand.New(rand.NewPCG(f.Seed, f.Seed))})
}

// ClearFaults takes all faults away, those of Config.Faults included.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// nextFaultLocked is the fault that strikes this request, or nil.
func (s *Server) nextFaultLocked(r *http.Request) *Fault {
	for _, f := range s.faults {
		if f.Method != "" && !strings.EqualFold(f.Method, r.Method) || !f.path.MatchString(r.URL.Path) {
			continue
		}
		if f.Auth != "" && f.Auth != authKind(r) {
			continue
		}
		f.seen++
		if f.seen <= f.Skip || f.Times > 0 && f.stricken >= f.Times {
			continue
		}
		if f.Probability > 0 && f.chance.Float64() >= f.Probability {
			continue
		}
		f.stricken++
		struck := f.Fault
		return &struck
	}
	return nil
}
