package atlasclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Codes that Atlas puts into errorCode and that this project tells apart.
const (
	CodeDuplicateClusterName       = "DUPLICATE_CLUSTER_NAME"
	CodeClusterNotFound            = "CLUSTER_NOT_FOUND"
	CodeServerlessInstanceNotFound = "SERVERLESS_INSTANCE_NOT_FOUND"
	CodeFlexInClusterAPI           = "CANNOT_USE_FLEX_CLUSTER_IN_CLUSTER_API"
	CodeNonFlexInFlexAPI           = "CANNOT_USE_NON_FLEX_CLUSTER_IN_FLEX_API"
	CodeClusterInServerlessAPI     = "CANNOT_USE_CLUSTER_IN_SERVERLESS_INSTANCE_API"
	CodeServerlessInClusterAPI     = "CANNOT_USE_SERVERLESS_INSTANCE_IN_CLUSTER_API"
	CodeGeneralError               = "ATLAS_GENERAL_ERROR" // says what it means only in its text
	CodeTerminationProtection      = "CANNOT_TERMINATE_CLUSTER_WHEN_TERMINATION_PROTECTION_ENABLED"
	CodeNotInGroup                 = "NOT_IN_GROUP"
	CodeVersionGone                = "VERSION_GONE"
	CodeNoPaymentInformationFound  = "NO_PAYMENT_INFORMATION_FOUND"
	CodeIPAddressNotOnAccessList   = "IP_ADDRESS_NOT_ON_ACCESS_LIST"
	codeNotOrgGroupCreator         = "NOT_ORG_GROUP_CREATOR"
)

// aboutProject reports whether the code of a 401 is about the project and not about the credential, which was right.
func aboutProject(code string) bool { return code == CodeNotInGroup || code == codeNotOrgGroupCreator }

// Error is every failure of a request: an answer that is an error, an answer that cannot be read, or none at all. Its
// texts are valid UTF-8 without control characters, of 1 KiB each at most.
type Error struct {
	// Status is the HTTP status, 0 where there was no answer.
	Status int
	// ErrorCode, Reason and Detail are Atlas's; empty where the body has none.
	ErrorCode string
	Reason    string
	Detail    string
	// Parameters of the error, such as the name and project of a cluster.
	Parameters []string
	// FromAtlas says that the answer carries an error code of Atlas. Other answers can be those of a proxy or firewall
	// on the way.
	FromAtlas bool
	// Transient says of a 401 that it passes by itself: the API key has worked in this process, or Atlas calls the
	// challenge that was answered stale.
	Transient bool
	// Method and Path are those of the request.
	Method string
	Path   string
	// RetryAfter is what Atlas asks to wait, nil where it does not ask.
	RetryAfter *time.Duration
	// RateLimit is what is left to ask for, nil where the answer does not say.
	RateLimit *RateLimit
	// Err is why there is no answer (Status 0) or why it cannot be read.
	Err error
}

// Error names the request and what came back.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: ", e.Method, e.Path)
	switch {
	case e.Err != nil && e.Status == 0:
		fmt.Fprintf(&b, "no answer: %v", e.Err)
	case e.Err != nil:
		fmt.Fprintf(&b, "status %d: %v", e.Status, e.Err)
	default:
		b.WriteString(strings.TrimSpace(strconv.Itoa(e.Status) + " " + e.ErrorCode))
		if e.Detail != "" {
			b.WriteString(": " + e.Detail)
		}
	}
	return b.String()
}

// Unwrap is why there is no answer or why it cannot be read.
func (e *Error) Unwrap() error { return e.Err }

// IsError reports whether err is an answer of Atlas with one of the codes.
func IsError(err error, codes ...string) bool {
	var e *Error
	return errors.As(err, &e) && slices.Contains(codes, e.ErrorCode)
}

func (e *Error) because(err error) *Error {
	e.Err = err
	return e
}

// readHeader takes what the header of an answer says.
func (e *Error) readHeader(resp *http.Response) {
	e.Status = resp.StatusCode
	e.ErrorCode = resp.Header.Get("X-Error-Code")
	e.FromAtlas = e.ErrorCode != ""
	e.RetryAfter = retryAfter(resp.Header, time.Now())
	e.RateLimit = rateLimit(resp.Header)
}

// readBody is the body of an answer. Every answer but a 2xx is the error, and not ok.
func (e *Error) readBody(ctx context.Context, resp *http.Response) (body []byte, ok bool) {
	body, err := readBounded(ctx, resp.Body)
	switch {
	case err != nil:
		e.Err = err
	case resp.StatusCode >= 400:
		e.parse(body)
	case resp.StatusCode < 200:
		e.Err = errors.New("an answer that announces another, which did not come")
	case resp.StatusCode >= 300:
		e.Err = fmt.Errorf("a redirect to %q, which is not followed", resp.Header.Get("Location"))
	default:
		return body, true
	}
	return body, false
}

// parse takes what the body says, if it is Atlas's JSON. A 502 or 503 can be a proxy's HTML, which says nothing that
// the status does not.
func (e *Error) parse(body []byte) {
	var a struct {
		ErrorCode  string            `json:"errorCode"`
		Reason     string            `json:"reason"`
		Detail     string            `json:"detail"`
		Parameters []json.RawMessage `json:"parameters"`
	}
	// A field of another type must not lose the others: Unmarshal fills in what fits.
	_ = json.Unmarshal(body, &a)
	if a.ErrorCode != "" {
		e.ErrorCode, e.FromAtlas = a.ErrorCode, true
	}
	e.Reason, e.Detail = a.Reason, a.Detail
	for _, p := range a.Parameters {
		var s string
		if json.Unmarshal(p, &s) != nil {
			s = string(p)
		}
		e.Parameters = append(e.Parameters, s)
	}
}

// redact takes out of the error what the request was signed with, should a server or proxy echo it: a failure stands in
// the workflow's history for all to read.
func (e *Error) redact(secrets ...string) {
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		clean := redactor(secret)
		for _, s := range append([]*string{&e.ErrorCode, &e.Reason, &e.Detail}, pointers(e.Parameters)...) {
			*s = clean.Replace(*s)
		}
		if e.Err != nil {
			e.Err = redactError(e.Err, secret)
		}
	}
}

// redactError is an error without a secret. It wraps nothing if it had it.
func redactError(err error, secret string) error {
	if secret == "" {
		return err
	}
	if clean := redactor(secret).Replace(err.Error()); clean != err.Error() {
		return errors.New(clean)
	}
	return err
}

func redactor(secret string) *strings.Replacer {
	quoted := strconv.Quote(secret) // as it stands in JSON and in %q
	return strings.NewReplacer(secret, "[redacted]", quoted[1:len(quoted)-1], "[redacted]")
}

func pointers(s []string) []*string {
	out := make([]*string, len(s))
	for i := range s {
		out[i] = &s[i]
	}
	return out
}

// maxRetryAfter is far beyond what anybody waits for, and far from overflow.
const maxRetryAfter = 24 * time.Hour

// retryAfter reads Retry-After, in seconds or as an HTTP date (RFC 9110, section 10.2.3). A date counts from the
// answer's own Date, so that two clocks need not agree.
func retryAfter(h http.Header, now time.Time) *time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	var wait time.Duration
	s, err := strconv.ParseUint(v, 10, 31)
	if err == nil || errors.Is(err, strconv.ErrRange) { // out of range, s is the largest
		wait = time.Duration(s) * time.Second
	} else if date, err := http.ParseTime(v); err == nil {
		if d, err := http.ParseTime(h.Get("Date")); err == nil {
			now = d
		}
		wait = date.Sub(now)
	} else {
		return nil
	}
	wait = min(max(wait, 0), maxRetryAfter)
	return &wait
}
