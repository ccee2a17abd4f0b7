package atlasclient

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	const date = "Tue, 01 Sep 2026 12:00:00 GMT"
	now := time.Date(2026, 9, 1, 13, 0, 0, 0, time.UTC) // our clock is an hour ahead of Atlas's
	d := func(d time.Duration) *time.Duration { return &d }
	for _, test := range []struct {
		name, value, date string
		want              *time.Duration
	}{
		{"none", "", date, nil},
		{"seconds", "7", date, d(7 * time.Second)},
		{"seconds need no date", "7", "", d(7 * time.Second)},
		{"0", "0", date, d(0)},
		{"white space", " 7 ", date, d(7 * time.Second)},
		{"leading zeros", "007", date, d(7 * time.Second)},
		{"a day", "86400", date, d(24 * time.Hour)},
		{"more than a day", "86401", date, d(24 * time.Hour)},
		{"2^31", "2147483648", date, d(24 * time.Hour)},
		{"2^63", "9223372036854775808", date, d(24 * time.Hour)},
		{"far beyond", strings.Repeat("9", 100), date, d(24 * time.Hour)},
		{"negative", "-1", date, nil},
		{"signed", "+1", date, nil},
		{"a fraction", "1.5", date, nil},
		{"an exponent", "1e3", date, nil},
		{"hexadecimal", "0x10", date, nil},
		{"a unit", "5s", date, nil},
		{"two", "5, 6", date, nil},
		{"garbage", "soon", date, nil},
		{"a date", "Tue, 01 Sep 2026 12:00:30 GMT", date, d(30 * time.Second)},
		{"a date of RFC 850", "Tuesday, 01-Sep-26 12:00:30 GMT", date, d(30 * time.Second)},
		{"a date of asctime", "Tue Sep  1 12:00:30 2026", date, d(30 * time.Second)},
		{"the same date", date, date, d(0)},
		{"a past date", "Tue, 01 Sep 2026 11:59:59 GMT", date, d(0)},
		{"a date long past", "Thu, 01 Jan 1970 00:00:00 GMT", date, d(0)},
		{"a date far ahead", "Fri, 31 Dec 9999 23:59:59 GMT", date, d(24 * time.Hour)},
		{"a date, but no Date", "Tue, 01 Sep 2026 13:00:30 GMT", "", d(30 * time.Second)},
		{"a date, and a Date that is none", "Tue, 01 Sep 2026 13:00:30 GMT", "today", d(30 * time.Second)},
		{"a date that is none", "Tue, 31 Feb 2026 12:00:30 GMT", date, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{"Retry-After": {test.value}, "Date": {test.date}}
			require.Equal(t, test.want, retryAfter(h, now))
		})
	}
	require.Nil(t, retryAfter(http.Header{}, now))
	require.Nil(t, retryAfter(nil, now))
}

// Retry-After is read as a time from 0 to a day, whatever it holds.
func FuzzRetryAfter(f *testing.F) {
	const date = "Tue, 01 Sep 2026 12:00:00 GMT"
	for _, v := range []string{
		"", "0", "7", "-1", "86401", "99999999999999999999", "1e9", date,
		"Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT",
	} {
		f.Add(v, date)
		f.Add(v, "")
	}
	f.Fuzz(func(t *testing.T, value, date string) {
		h := http.Header{"Retry-After": {value}, "Date": {date}}
		now := time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)
		wait := retryAfter(h, now)
		if wait != nil && (*wait < 0 || *wait > 24*time.Hour) {
			t.Errorf("%q at %q: %s", value, date, *wait)
		}
		if again := retryAfter(h, now); (wait == nil) != (again == nil) || wait != nil && *wait != *again {
			t.Errorf("%q at %q: once %v, once %v", value, date, wait, again)
		}
	})
}

// A path has as many segments as its endpoint, and a server that unescapes them gets what went in.
func FuzzPath(f *testing.F) {
	for _, s := range []string{
		"orders", "", ".", "..", "...", "../..", "a/b", "%2e%2e", "%2F", "a?b", "a#b", "a b", "ä☃", `a\b`,
		"\x00\r\n", "\xff", ";", "//", ":@",
	} {
		f.Add("5c0ffee5c0ffee5c0ffee5c0", s)
		f.Add(s, "orders")
	}
	f.Fuzz(func(t *testing.T, group, name string) {
		got := path("/groups/{groupId}/clusters/{name}", group, name)
		u, err := url.Parse("https://cloud.mongodb.com" + got)
		require.NoError(t, err)
		require.Equal(t, "cloud.mongodb.com", u.Host)
		require.Equal(t, got, u.RequestURI(), "what goes over the wire")
		tail, found := strings.CutPrefix(u.EscapedPath(), "/api/atlas/v2/")
		require.True(t, found)
		segments := strings.Split(tail, "/")
		require.Len(t, segments, 4)
		for i, want := range []string{"groups", group, "clusters", name} {
			require.NotContains(t, []string{".", ".."}, segments[i])
			unescaped, err := url.PathUnescape(segments[i])
			require.NoError(t, err)
			require.Equal(t, want, unescaped)
		}
	})
}

// The request and the status stand in an error whatever the body holds. A body in Atlas's JSON is read in full.
func FuzzErrorParse(f *testing.F) {
	for _, body := range []string{
		"", "null", "{}", "[]", "0", `"x"`, "<html>", "{", "\xff\x00", strings.Repeat("[", 10001),
		`{"errorCode":7,"detail":"d"}`, `{"parameters":null}`, `{"parameters":[null,1,{"a":[]},"x"]}`,
		`{"detail":"d","error":400,"errorCode":"E","parameters":["p"],"reason":"r"}`,
		`{"ERRORCODE":"E"}`, `{"errorCode":"A","errorCode":"B"}`,
	} {
		f.Add([]byte(body), "UNEXPECTED_ERROR", "A detail.", "secret")
	}
	f.Add([]byte(`{"detail":"secret"}`), "", "", `"`)
	f.Add([]byte(`{"detail":"se\"cret","parameters":[["se\"cret"]]}`), "E", "", `se"cret`)
	f.Fuzz(func(t *testing.T, body []byte, code, detail, secret string) {
		e := &Error{Status: 400, Method: "GET", Path: "/x"}
		e.parse(body)
		if e.Status != 400 || !strings.HasPrefix(e.Error(), "GET /x: 400") {
			t.Errorf("%q: %d %q", body, e.Status, e.Error())
		}

		valid := func(s string) string { return strings.ToValidUTF8(s, "?") }
		code, detail = valid(code), valid(detail)
		said, err := json.Marshal(map[string]any{
			"errorCode": code, "detail": detail, "reason": code, "parameters": []any{detail, 7, nil},
		})
		require.NoError(t, err)
		want := &Error{
			Status: 400, ErrorCode: code, Detail: detail, Reason: code, Parameters: []string{detail, "7", ""},
			FromAtlas: code != "",
		}
		got := &Error{Status: 400}
		got.parse(said)
		require.Equal(t, want, got)

		// A credential that is part of its replacement cannot be checked.
		if secret != "" && !strings.ContainsAny(secret, "[]") && !strings.Contains("[redacted]", secret) {
			e.Detail, e.Parameters = "signed with "+secret+".", append(e.Parameters, secret, strconv.Quote(secret))
			e.redact(secret)
			require.NotContains(t, e.Detail, secret)
			for _, p := range e.Parameters {
				require.NotContains(t, p, secret)
			}
		}
	})
}

// A plain text is valid UTF-8, within the limit and without control characters. A text that is plain already is kept.
func FuzzPlainText(f *testing.F) {
	for _, s := range []string{
		"", "orders", "\xff", "\x1b[31m", "☃☃☃", "\u202e", strings.Repeat("\xff", 100), strings.Repeat("é", 50),
		strings.Repeat("\x80", 8),
	} {
		f.Add(s, 20)
	}
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = 10 + limit&0xff
		got := plainText(s, limit)
		require.LessOrEqual(t, len(got), limit)
		require.True(t, utf8.ValidString(got))
		require.Equal(t, -1, strings.IndexFunc(got, unicode.IsControl))
		require.Equal(t, got, plainText(got, limit), "once is enough")
		isPlain := utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool {
			return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
		}) < 0
		if isPlain && len(s) <= limit {
			require.Equal(t, s, got)
		}
	})
}
