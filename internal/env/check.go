package env

import (
	"errors"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CheckName returns what is wrong with a name, such as that of a namespace: white space or a line end around it, which
// files and shells add, or a character that cannot be seen. Nil means that nothing is wrong.
func CheckName(name string) error {
	switch {
	case !utf8.ValidString(name):
		return errors.New("is not valid UTF-8")
	case strings.TrimSpace(name) != name:
		return errors.New("has white space or a line end around it: set the bare value")
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return errors.New("holds a character that cannot be printed: set the bare value")
	}
	return nil
}

// CheckSecret returns what is wrong with a key or token that is sent in a header. The error does not hold the value.
func CheckSecret(secret string) error {
	switch {
	case strings.ContainsFunc(secret, unicode.IsSpace):
		return errors.New("holds white space: set the bare value")
	case strings.ContainsFunc(secret, func(r rune) bool { return r < '!' || r > '~' }):
		return errors.New("holds a character that no key has: set the bare value")
	}
	return nil
}

// ValidPort tells whether a text is the number of a port. Port 0, which lets the system choose one, is valid only to
// listen at.
func ValidPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0 && port == strconv.FormatUint(n, 10)
}

// ValidURL tells whether a text is the URL of an HTTP server, without a user name, a query or a fragment.
func ValidURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.User == nil && ValidHost(u.Hostname()) &&
		(u.Port() == "" || ValidPort(u.Port())) && !strings.HasSuffix(u.Host, ":") && !strings.ContainsAny(text, "?#")
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// ValidHost tells whether a text is the name of a host or an IP address without brackets.
func ValidHost(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || hostName.MatchString(host)
}
