package atlassim

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

const (
	oversize = 5 << 20   // bytes of FaultOversize
	longText = 3_000_000 // bytes of FaultLongText
	htmlPage = "<html>\n<head><title>%[1]s</title></head>\n<body><h1>%[1]s</h1></body>\n</html>\n"
	// badText is not UTF-8 and holds a NUL, and sequences that set a terminal's title and colour.
	badText = "\xff\xfe caf\xe9 \x00 \x1b]0;title\x07 \x1b[31mred\x1b[0m \r \u202e"
)

// hang waits as long as the fault says and reports whether the client is still there.
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

// sendFault sends what the fault makes of the answer, which is nil when the request did not take effect.
func (s *Server) sendFault(w http.ResponseWriter, r *http.Request, entry *Entry, f *Fault, a *answer) {
	var out *answer
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
	case FaultUnauthorized:
		s.mu.Lock()
		out = s.unauthorizedLocked(r, f.Stale)
		s.mu.Unlock()
	case FaultStatus:
		out = f.statusAnswer()
		if out.status == http.StatusUnauthorized {
			s.mu.Lock()
			s.challengeLocked(r, out.header, f.Stale)
			s.mu.Unlock()
		}
	default:
		out = f.change(r, a)
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
	out.sendHead(w)
	_, _ = w.Write(out.body[:len(out.body)/2])
	_ = http.NewResponseController(w).Flush()
	// net/http closes the connection now: less was written than announced.
}

// statusAnswer is the answer of FaultStatus.
func (f *Fault) statusAnswer() *answer {
	e := &apiError{status: f.statusOr(http.StatusServiceUnavailable), code: f.ErrorCode, detail: f.Detail,
		params: f.Parameters}
	switch {
	case e.code == "":
		e.code = "UNEXPECTED_ERROR"
	case f.Status != 0 || f.Detail != "":
	case e.code == "IP_ADDRESS_NOT_ON_ACCESS_LIST":
		e = failf(http.StatusForbidden, e.code, "IP address %s is not allowed to access this resource.", "203.0.113.7")
	case e.code == "NOT_IN_GROUP":
		e = errNotInGroup()
	}
	out := e.answer()
	if f.Reason != "" {
		out.body = marshal(map[string]any{"detail": e.detail, "error": e.status, "errorCode": e.code,
			"parameters": e.params, "reason": f.Reason})
	}
	return out
}

func (f *Fault) statusOr(fallback int) int {
	if f.Status != 0 {
		return f.Status
	}
	return fallback
}

// change is what the kinds make of an answer that need nothing but the answer, which is nil when the request did not
// take effect.
func (f *Fault) change(r *http.Request, a *answer) *answer {
	out := &answer{header: http.Header{}, contentType: "application/json", status: f.statusOr(http.StatusOK)}
	switch f.Kind {
	case FaultHTML:
		out.status, out.contentType = f.statusOr(http.StatusBadGateway), "text/html"
		title := fmt.Sprint(out.status, " ", http.StatusText(out.status))
		out.body = fmt.Appendf(nil, htmlPage, title)
	case FaultTruncate:
		if a != nil {
			return a
		}
		out.body = []byte(`{"id":"000000000000000000000000","stateName":"IDLE"}`)
	case FaultOversize:
		out.body = fmt.Appendf(nil, `{"padding":%q}`, strings.Repeat("x", oversize))
	case FaultGarbage:
		out.body = []byte(`{"id": "5f0f2c1b` + "\x00 not JSON")
	case FaultBadText:
		out = f.badTextAnswer(r)
	case FaultLongText:
		e := failf(f.statusOr(http.StatusServiceUnavailable), "UNEXPECTED_ERROR", "%s", strings.Repeat("x", longText))
		e.params = nil
		out = e.answer()
	case FaultBody:
		if a != nil {
			a.status = f.statusOr(a.status)
			out = a
		}
		out.body = []byte(f.Body)
	case FaultRewrite:
		if a == nil {
			out.body = marshal(f.Set)
			return out
		}
		if a.status < 400 {
			a.body = rewrite(a.body, f.Set)
		}
		return a
	}
	return out
}

// badTextAnswer is the answer of FaultBadText. It is put together by hand, because encoding/json would repair it.
func (f *Fault) badTextAnswer(r *http.Request) *answer {
	escaped := strings.NewReplacer("\x00", `\u0000`, "\x07", `\u0007`, "\x1b", `\u001b`, "\r", `\r`).Replace(badText)
	out := &answer{status: f.statusOr(http.StatusServiceUnavailable), code: "BAD_TEXT", header: http.Header{},
		contentType: "application/json"}
	if isOAuth(r) {
		out.body = fmt.Appendf(nil, `{"error":"bad %[1]s","error_description":"bad %[1]s"}`, escaped)
		return out
	}
	out.header.Set("X-Error-Code", "BAD_\xff\xfe caf\xe9") // clients refuse a header with control characters
	out.body = fmt.Appendf(nil, `{"detail":"bad %[1]s","error":%[2]d,"errorCode":"BAD_%[1]s",`+
		`"parameters":["bad %[1]s"],"reason":"bad %[1]s"}`, escaped, out.status)
	return out
}

// rewrite sets attributes of an object, or of each result of a list.
func rewrite(body []byte, set map[string]any) []byte {
	var object map[string]any
	if json.Unmarshal(body, &object) != nil || object == nil {
		return body
	}
	targets := []any{object}
	if results, isList := object["results"].([]any); isList {
		targets = results
	}
	for _, target := range targets {
		if attributes, isObject := target.(map[string]any); isObject {
			for name, value := range set {
				attributes[name] = value
			}
		}
	}
	return marshal(object)
}

// reset closes the connection so that the client sees "connection reset by peer" and not an orderly end.
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
