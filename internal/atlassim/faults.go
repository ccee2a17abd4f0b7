package atlassim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// FaultKind is what goes wrong.
type FaultKind string

// The kinds of fault. A fault strikes before the request takes effect unless
// its comment says otherwise; Fault.AfterEffect and Fault.BeforeEffect change
// that.
const (
	// FaultStatus answers an Atlas error: Fault.Status (503), ErrorCode
	// (UNEXPECTED_ERROR), Reason (the status's text), Detail, Parameters.
	FaultStatus FaultKind = "status"
	// FaultHTML answers a proxy's HTML page: Fault.Status (502).
	FaultHTML FaultKind = "html"
	// FaultReset resets the connection without an answer. HTTP/1 only.
	FaultReset FaultKind = "reset"
	// FaultLost is FaultReset after the effect: the request was carried out, and its
	// answer is lost.
	FaultLost FaultKind = "lost"
	// FaultHang holds the answer until the client goes away or Fault.Hang is over (0:
	// the former only). Before the effect, a client that went away leaves
	// none; otherwise the request then goes on as usual.
	FaultHang FaultKind = "hang"
	// FaultTruncate announces the whole body and sends half of it; after the
	// effect. An answer without a body is lost altogether.
	FaultTruncate FaultKind = "truncate"
	// FaultOversize answers 200 with a JSON body of 5 MiB.
	FaultOversize FaultKind = "oversize"
	// FaultGarbage answers 200 with a body that is no JSON; after the effect.
	FaultGarbage FaultKind = "garbage"
)

const oversize = 5 << 20 // bytes

// Fault is something that goes wrong with requests that match it. Of several
// that match a request, the first one added that is due strikes. Requests
// that fail authentication are neither hit nor counted.
type Fault struct {
	// Method is an HTTP method; "" is any.
	Method string `json:"method,omitempty"`
	// Path is a regular expression, sought anywhere in the unescaped path;
	// "" is any. A plain piece of a path works as itself.
	Path string `json:"path,omitempty"`
	// Skip is how many matching requests go unharmed first.
	Skip int `json:"skip,omitempty"`
	// Times is how many requests it strikes; 0 is without end.
	Times int `json:"times,omitempty"`
	// Probability, from 0 to 1, lets chance decide for each request; 0 is
	// always. The same Seed makes the same decisions in the same order.
	Probability float64 `json:"probability,omitempty"`
	Seed        uint64  `json:"seed,omitempty"`

	Kind FaultKind `json:"kind"`
	// AfterEffect lets the request take effect before the fault strikes;
	// BeforeEffect does not, for the kinds that otherwise do.
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
	// Hang is how long FaultHang takes, in real time whatever Config.Now says.
	Hang Duration `json:"hang,omitzero"`
}

// after says whether the request takes effect before the fault strikes.
func (f *Fault) after() bool {
	switch f.Kind {
	case FaultLost:
		return true
	case FaultTruncate, FaultGarbage:
		return !f.BeforeEffect
	}
	return f.AfterEffect
}

// Validate names everything that is wrong with f.
func (f Fault) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch f.Kind {
	case FaultStatus, FaultHTML, FaultReset, FaultLost, FaultHang, FaultTruncate, FaultOversize, FaultGarbage:
	default:
		bad("kind: %q is none of status, html, reset, lost, hang, truncate, oversize, garbage", f.Kind)
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

// AddFault puts a fault in place, after those that are there. It panics on
// one that fails Validate.
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

// hang waits as long as the fault says and reports whether the client is
// still there.
func (s *Server) hang(r *http.Request, d Duration) bool {
	var over <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(time.Duration(d))
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
		return true
	case <-r.Context().Done():
	case <-s.closed:
	}
	return false
}

// sendFault sends what the fault makes of the answer, which is nil when the
// request did not take effect.
func (s *Server) sendFault(w http.ResponseWriter, r *http.Request, entry *Entry, f *Fault, a *answer) {
	status := func(fallback int) int {
		if f.Status != 0 {
			return f.Status
		}
		return fallback
	}
	out := &answer{header: http.Header{}, contentType: "application/json"}
	switch f.Kind {
	case FaultReset, FaultLost:
		reset(w)
		return
	case FaultHang:
		if !s.hang(r, f.Hang) {
			reset(w)
			return
		}
		out = a
	case FaultStatus:
		e := &apiError{status: status(503), code: f.ErrorCode, detail: f.Detail, params: f.Parameters}
		if e.code == "" {
			e.code = "UNEXPECTED_ERROR"
		}
		out = e.answer()
		if f.Reason != "" {
			out.body = marshal(map[string]any{"detail": e.detail, "error": e.status, "errorCode": e.code,
				"parameters": e.params, "reason": f.Reason})
		}
	case FaultHTML:
		out.status, out.contentType = status(502), "text/html"
		out.body = fmt.Appendf(nil, "<html>\n<head><title>%[1]d %[2]s</title></head>\n<body><h1>%[1]d %[2]s</h1></body>\n</html>\n",
			out.status, http.StatusText(out.status))
	case FaultTruncate:
		if a == nil {
			out.status, out.body = status(200), []byte(`{"id":"000000000000000000000000","stateName":"IDLE"}`)
		} else {
			out = a
		}
	case FaultOversize:
		out.status = status(200)
		out.body = fmt.Appendf(nil, `{"padding":%q}`, strings.Repeat("x", oversize))
	case FaultGarbage:
		out.status, out.body = status(200), []byte(`{"id": "5f0f2c1b`+"\x00 not JSON")
	}
	for k, v := range f.Header {
		out.header[http.CanonicalHeaderKey(k)] = v
	}
	if f.RetryAfter != "" {
		out.header.Set("Retry-After", f.RetryAfter)
	}
	if f.Kind == FaultTruncate && len(out.body) == 0 {
		reset(w)
		return
	}
	s.record(entry, out)
	if f.Kind != FaultTruncate {
		out.send(w)
		return
	}
	out.head(w)
	w.WriteHeader(out.status)
	_, _ = w.Write(out.body[:len(out.body)/2])
	_ = http.NewResponseController(w).Flush()
	// net/http closes the connection now: less was written than announced.
}

// reset closes the connection so that the client sees "connection reset by
// peer" and not an orderly end.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil { // HTTP/2, or a recorder: net/http's own way to break off
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
