package atlassim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// answer is what will be sent, unless a fault changes it.
type answer struct {
	status      int
	code        string // errorCode
	header      http.Header
	contentType string
	body        []byte
	effect      Effect
	second      bool // an attempted second upgrade
}

// send writes the answer and flushes it, so that the client has all of it before the Answered hook runs.
func (a *answer) send(w http.ResponseWriter) {
	a.sendHead(w)
	// Errors of a client that is gone are of no interest to anybody.
	_, _ = w.Write(a.body)
	_ = http.NewResponseController(w).Flush()
}

// sendHead sends status and headers, with the length of the whole body.
func (a *answer) sendHead(w http.ResponseWriter) {
	for k, v := range a.header {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Type", a.contentType)
	w.Header().Set("Server", "atlas-sim")
	if a.status != http.StatusNoContent {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
}

// addRecordedHeaders adds what every recorded answer carries but the bare 401. The values that say how Atlas is built
// are made up.
func addRecordedHeaders(header http.Header, javaMethod string) {
	for name, value := range map[string]string{
		"Referrer-Policy":                   "strict-origin-when-cross-origin",
		"Strict-Transport-Security":         "max-age=31536000; includeSubdomains;",
		"X-Content-Type-Options":            "nosniff",
		"X-Envoy-Upstream-Service-Time":     "100",
		"X-Frame-Options":                   "DENY",
		"X-Java-Method":                     javaMethod,
		"X-Java-Version":                    "17.0.0",
		"X-Mongodb-Service-Version":         "gitHash=" + strings.Repeat("0", 40) + "; versionString=atlas-sim",
		"X-Permitted-Cross-Domain-Policies": "none",
	} {
		if value != "" {
			header.Set(name, value)
		}
	}
}

// present applies the query parameters that every endpoint has (docs): envelope puts status and body into a JSON
// object of an answer that is 200 (an error's too, which is assumed); pretty spreads the JSON over lines.
func (c *call) present(a *answer) {
	if c.query("envelope", "") == "true" {
		var content any = map[string]any{}
		if len(a.body) > 0 {
			content = json.RawMessage(a.body)
		}
		wrapped := map[string]any{"status": a.status, "content": content}
		var list map[string]json.RawMessage
		if json.Unmarshal(a.body, &list) == nil && list["results"] != nil {
			list["status"] = marshal(a.status)
			a.body = marshal(list)
		} else {
			a.body = marshal(wrapped)
		}
		a.status = http.StatusOK
	}
	if c.query("pretty", "") == "true" && len(a.body) > 0 {
		var b bytes.Buffer
		if json.Indent(&b, a.body, "", "  ") == nil {
			a.body = b.Bytes()
		}
	}
}

// decode reads a JSON body into v, and answers as Atlas does when it cannot: unknown attributes and wrong types are
// named. The attributes in ignored are taken without complaint, and whatever they hold is of no effect.
func decode(body []byte, v any, ignored ...string) *apiError {
	var attributes map[string]json.RawMessage
	if len(ignored) > 0 && json.Unmarshal(body, &attributes) == nil && attributes != nil {
		for _, name := range ignored {
			delete(attributes, name)
		}
		body = marshal(attributes)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return errMalformed()
		}
		return nil
	}
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) && mismatch.Field != "" {
		return errJSONAttribute(mismatch.Field)
	}
	// encoding/json has no type for this one.
	if name, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
		return errInvalid(strings.Trim(name, `"`))
	}
	return errMalformed()
}

// marshal renders what this package made itself, which always works. Atlas does not escape & and < in its strings
// (recorded).
func marshal(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("atlassim: %v", err))
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}
