package atlassim

import (
	"net/http"
	"slices"
	"time"
)

// Entry is one request as the simulator saw it. It never holds a credential.
type Entry struct {
	// Time is when it arrived, by Config.Now.
	Time time.Time `json:"time"`
	// Method, Path (unescaped) and Query are the request's own.
	Method string `json:"method"`
	Path   string `json:"path"`
	Query  string `json:"query,omitempty"`
	// Auth is the kind of credential presented, good or bad.
	Auth AuthKind `json:"auth"`
	// Authenticated says whether it was accepted. A digest client's first request, which only fetches a challenge,
	// has false here; so have requests to the token endpoint, whose status says it.
	Authenticated bool `json:"authenticated"`
	// Status is what was answered; 0 when nothing was (yet, or ever).
	Status int `json:"status"`
	// ErrorCode is the errorCode that was answered, if any.
	ErrorCode string `json:"errorCode,omitempty"`
	// Fault is the kind of fault that was applied to it, if any.
	Fault FaultKind `json:"fault,omitempty"`
	// Effect is what it changed. It is set even when the answer was lost.
	Effect Effect `json:"effect,omitempty"`
	// SecondUpgrade marks an upgrade request for a cluster that is being, or has been, upgraded already. It is always
	// refused.
	SecondUpgrade bool `json:"secondUpgrade,omitempty"`
	// UserAgent and Accept are the request's headers.
	UserAgent string `json:"userAgent,omitempty"`
	Accept    string `json:"accept,omitempty"`
}

// Effect is what a request changed.
type Effect string

// The effects a request can have. A delete that Atlas accepts and ignores (Config.IgnoredDeletes) has none.
const (
	NoEffect Effect = ""
	Created  Effect = "created"
	Updated  Effect = "updated"
	Deleted  Effect = "deleted"
	Upgraded Effect = "upgraded"
)

// Ledger returns every request to the Atlas API so far, in order of arrival.
func (s *Server) Ledger() []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Entry, len(s.ledger))
	for i, e := range s.ledger {
		out[i] = *e
	}
	return out
}

// Count returns how many requests in the ledger had the effect.
func (s *Server) Count(effect Effect) int {
	return len(slices.DeleteFunc(s.Ledger(), func(e Entry) bool { return e.Effect != effect }))
}

// openEntryLocked opens the ledger entry of a request.
func (s *Server) openEntryLocked(r *http.Request) *Entry {
	e := &Entry{
		Time: s.cfg.Now(), Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery,
		Auth: authKind(r), UserAgent: r.UserAgent(), Accept: r.Header.Get("Accept"),
	}
	s.ledger = append(s.ledger, e)
	return e
}

// stage calls the hook with a copy of the entry.
func (s *Server) stage(stage Stage, e *Entry) {
	if s.cfg.Hook == nil {
		return
	}
	s.mu.Lock()
	entry := *e
	s.mu.Unlock()
	s.cfg.Hook(stage, entry)
}
