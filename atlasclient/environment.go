package atlasclient

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// CheckBaseURL says what is wrong with the root of an API. The root must be absolute and https, or http to a loopback
// address unless allowHTTP, and hold neither credentials, nor a query, nor a path of the API.
func CheckBaseURL(raw string, allowHTTP bool) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil, u.Hostname() == "", u.Scheme != "https" && u.Scheme != "http":
		return errors.New("must be an absolute https URL, such as " + DefaultBaseURL)
	case !validPort(u):
		return fmt.Errorf("must have a port from 1 to 65535, not %s", plainText(u.Port(), 20))
	case u.User != nil:
		return errors.New("must not hold a user name or password: they would show up in errors and logs")
	case strings.ContainsAny(raw, "?#"):
		return errors.New("must not hold a query or fragment")
	case hasAPIPath(u.Path):
		return fmt.Errorf("must be the root of the API, without a path such as %s, such as %s", apiPath, DefaultBaseURL)
	//mutate:plain-http
	case u.Scheme == "http" && !allowHTTP && !loopback(u.Hostname()):
		return fmt.Errorf("must be https: plain http to %s would send the credential in the clear", u.Hostname())
	}
	return nil
}

// hasAPIPath reports whether a base URL goes on into the API, as a URL that was copied from the documentation does. The
// client adds the path of the API itself.
func hasAPIPath(path string) bool {
	segments := strings.FieldsFunc(strings.ToLower(path), func(r rune) bool { return r == '/' })
	api := slices.Index(segments, "api")
	if api < 0 {
		return false
	}
	if len(segments) == api+1 {
		return api == 0 // what a gateway has before its own last segment is its own affair
	}
	return slices.Contains([]string{"atlas", "oauth", "public"}, segments[api+1])
}

func validPort(u *url.URL) bool {
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	return u.Port() == "" || err == nil && port > 0
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// CheckProxy says which variable of the environment names a proxy that cannot be used. Go ignores such a variable, and
// requests would go past the proxy.
func CheckProxy(getenv func(string) string) error {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"} {
		if value := getenv(name); value != "" && !validProxy(value) {
			// The value can hold a password, so the error does not say it.
			return fmt.Errorf("%s must be the URL of a proxy, such as http://proxy.example:3128", name)
		}
	}
	return nil
}

// validProxy reports whether Go understands a proxy. As in Go, the scheme can be left out.
func validProxy(value string) bool {
	if !strings.Contains(value, "/") {
		value = "http://" + value
	}
	u, err := url.Parse(value)
	return err == nil && u.Hostname() != "" && validPort(u) &&
		slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme)
}
