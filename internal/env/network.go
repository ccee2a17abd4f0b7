package env

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// checkNetwork checks the variables that Go itself reads, and silently ignores where it cannot use them: the program
// would connect without the proxy, or not trust the certificates.
func (e Env) checkNetwork() error {
	var mistakes []error
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"} {
		if proxy := e.Get(name, ""); proxy != "" && !validProxy(proxy) {
			// The value may hold a password.
			mistakes = append(mistakes, fmt.Errorf("%s must be a URL such as http://proxy.example.com:3128", name))
		}
	}
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		for entry := range strings.SplitSeq(e.Get(name, ""), ",") {
			if entry = strings.TrimSpace(entry); !validNoProxy(entry) {
				mistakes = append(mistakes, fmt.Errorf("%s must hold names, IP addresses and ranges such as "+
					"10.0.0.0/8, with commas between them, got %q", name, entry))
			}
		}
	}
	if err := e.checkCertificates(); err != nil {
		mistakes = append(mistakes, err)
	}
	return errors.Join(mistakes...)
}

// validProxy tells whether Go's HTTP client and gRPC use the value of HTTPS_PROXY.
func validProxy(proxy string) bool {
	if !strings.Contains(proxy, "://") {
		proxy = "http://" + proxy
	}
	u, err := url.Parse(proxy)
	return err == nil && slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) &&
		ValidHost(u.Hostname()) && (u.Port() == "" || ValidPort(u.Port())) && !strings.HasSuffix(u.Host, ":")
}

func validNoProxy(entry string) bool {
	if strings.ContainsAny(entry, " \t\r\n") || strings.HasPrefix(entry, ":") {
		return false
	}
	if strings.Contains(entry, "/") {
		_, _, err := net.ParseCIDR(entry)
		return err == nil
	}
	return true
}

// checkCertificates checks where the certificates come from that the program trusts in place of the system's.
func (e Env) checkCertificates() error {
	var mistakes []error
	if file := e.Get("SSL_CERT_FILE", ""); file != "" && !isPipe(file) {
		pem, err := os.ReadFile(file)
		switch {
		case err != nil:
			mistakes = append(mistakes, fmt.Errorf("SSL_CERT_FILE cannot be read: %w", err))
		case !x509.NewCertPool().AppendCertsFromPEM(pem):
			mistakes = append(mistakes, errors.New("SSL_CERT_FILE holds no certificate in PEM form"))
		}
	}
	for _, folder := range filepath.SplitList(e.Get("SSL_CERT_DIR", "")) {
		if _, err := os.ReadDir(folder); err != nil {
			mistakes = append(mistakes, fmt.Errorf("SSL_CERT_DIR cannot be read: %w", err))
		}
	}
	return errors.Join(mistakes...)
}

// isPipe tells whether a file is a pipe, which Go itself could not read after this package did.
func isPipe(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode()&os.ModeNamedPipe != 0
}
