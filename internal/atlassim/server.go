package atlassim

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

// maxBody bounds the request bodies that are read, in bytes.
const maxBody = 1 << 20

// Server is a simulated Atlas. Make one with [New]. It is safe for concurrent use.
type Server struct {
	cfg     Config
	control http.Handler
	closed  chan struct{}
	close   sync.Once

	mu       sync.Mutex // guards everything below
	auth     authState
	clusters []*cluster               // in order of creation
	freed    map[clusterKey]time.Time // names and when they were freed
	buckets  map[string]*bucket       // by project and endpoint family
	faults   []*faultState
	ledger   []*Entry
	lastID   int
	ignored  int // deletes ignored so far
}

// New makes a simulator. The error names everything that is wrong with cfg.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		cfg: cfg, closed: make(chan struct{}),
		auth:    authState{nonces: map[string]*nonce{}, tokens: map[string]time.Time{}},
		freed:   map[clusterKey]time.Time{},
		buckets: map[string]*bucket{},
	}
	s.control = s.controlHandler()
	for _, f := range cfg.Faults {
		s.AddFault(f)
	}
	for _, c := range cfg.Shared {
		s.SeedShared(c)
	}
	return s, nil
}

// Close lets every request go that a fault keeps hanging, so that the HTTP server around it can shut down. State and
// ledger stay readable.
func (s *Server) Close() { s.close.Do(func() { close(s.closed) }) }

// ServeHTTP answers one request: to the simulator's own control under /sim/, to Atlas otherwise.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/sim/") {
		s.control.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return // the client went away before it had said what it wants
	}

	s.mu.Lock()
	entry := s.openEntryLocked(r)
	refused := s.authorizeLocked(r, entry)
	var fault *Fault
	// Faults leave requests alone that only fetch a digest challenge, so that "the first POST is lost" means the
	// first that could take effect.
	if refused == nil {
		if fault = s.nextFaultLocked(r); fault != nil {
			entry.Fault = fault.Kind
		}
	}
	s.mu.Unlock()

	defer s.answered(r, entry)
	s.stage(Arrived, entry)

	if fault != nil && fault.Kind == FaultDropQuery {
		r, fault = withoutQuery(r), nil
	}
	if fault != nil && !fault.after() {
		if fault.Kind != FaultHang {
			s.sendFault(w, r, entry, fault, nil)
			return
		}
		if !s.hang(r, fault.Hang) {
			reset(w)
			return // nobody waits any more: nothing takes effect
		}
		fault = nil
	}

	a := refused
	if a == nil {
		s.mu.Lock()
		a = s.executeLocked(r, body)
		entry.Effect, entry.SecondUpgrade = a.effect, a.second
		s.mu.Unlock()
	}
	s.stage(Applied, entry)

	if fault != nil {
		s.sendFault(w, r, entry, fault, a)
		return
	}
	s.record(entry, a)
	a.send(w)
}

// withoutQuery is the request as a gateway passes it on that drops the query.
func withoutQuery(r *http.Request) *http.Request {
	r = r.Clone(r.Context())
	r.URL.RawQuery = ""
	return r
}

// record notes what is about to be sent: before it is, so that whoever has read an answer finds it in the ledger.
func (s *Server) record(entry *Entry, a *answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entry.Status, entry.ErrorCode = a.status, a.code
}

// answered is the end of every request.
func (s *Server) answered(r *http.Request, e *Entry) {
	s.cfg.Log.Info("request", "method", r.Method, "path", r.URL.Path, "status", e.Status,
		"errorCode", e.ErrorCode, "fault", e.Fault, "effect", e.Effect)
	s.stage(Answered, e)
}

// authorizeLocked checks the credential. It returns nil for a request that may go on.
func (s *Server) authorizeLocked(r *http.Request, entry *Entry) *answer {
	if isOAuth(r) {
		return nil // oauthLocked checks it
	}
	ok, stale := s.authenticateLocked(r)
	entry.Authenticated = ok
	if ok {
		return nil
	}
	return s.unauthorizedLocked(r, stale)
}

// executeLocked does what an authorized request asks for.
func (s *Server) executeLocked(r *http.Request, body []byte) *answer {
	if isOAuth(r) {
		return s.oauthLocked(r, body)
	}
	s.applyTimeLocked()
	c := &call{s: s, r: r, body: body, now: s.cfg.Now(), header: http.Header{}}
	return c.route()
}
