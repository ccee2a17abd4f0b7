package atlasclient

import (
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxText bounds each text of an answer, in bytes.
	maxText = 4 << 10
	// maxErrorText bounds each text of an error, in bytes, so that a message that is made of several has 4 KiB at most.
	maxErrorText = 1 << 10
	// maxParameters bounds how many parameters of an error are kept. Atlas sends two.
	maxParameters = 20
)

// makePlain makes all texts plain that v points to. It is for what came from outside: a body in JSON can hold control
// characters, and a header or another library's error any bytes at all. Temporal takes only valid UTF-8, and a terminal
// would obey an escape sequence.
func makePlain(v any, limit int) {
	if v != nil {
		makeValuePlain(reflect.ValueOf(v), limit)
	}
}

func makeValuePlain(v reflect.Value, limit int) {
	switch v.Kind() {
	case reflect.String:
		if v.CanSet() {
			v.SetString(plainText(v.String(), limit))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			makeValuePlain(v.Elem(), limit)
		}
	case reflect.Slice:
		for i := range v.Len() {
			makeValuePlain(v.Index(i), limit)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				makeValuePlain(v.Field(i), limit)
			}
		}
	}
}

// plainText is a text as valid UTF-8 without control characters, cut to limit bytes. A space stands for a control
// character, so that two halves of a word do not become one.
func plainText(s string, limit int) string {
	const cutMark = "…"
	if len(s) <= limit && strings.IndexFunc(s, notASCII) < 0 { // as nearly all texts are
		return s
	}
	if len(s) > limit {
		end := limit - len(cutMark)
		for end > 0 && end > limit-len(cutMark)-utf8.UTFMax && !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end] + cutMark
	}
	plain := strings.Map(func(r rune) rune {
		// Beside the control characters, what breaks a line and what turns its direction.
		if unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			return ' '
		}
		return r // utf8.RuneError for a byte that is not UTF-8
	}, s)
	if len(plain) > limit { // a byte that is not UTF-8 has become three
		return plainText(plain, limit)
	}
	return plain
}

// notASCII reports whether a rune is not one of the printable ones of ASCII.
func notASCII(r rune) bool { return r < ' ' || r > '~' }

// plainError is an error whose text was made plain. It wraps the error itself.
type plainError struct {
	text string
	err  error
}

func (e *plainError) Error() string { return e.text }
func (e *plainError) Unwrap() error { return e.err }

// makePlain makes all texts of the error plain.
func (e *Error) makePlain() {
	e.Parameters = e.Parameters[:min(len(e.Parameters), maxParameters)]
	makePlain(e, maxErrorText)
	if e.Err == nil {
		return
	}
	if text := plainText(e.Err.Error(), maxErrorText); text != e.Err.Error() {
		e.Err = &plainError{text, e.Err}
	}
}
