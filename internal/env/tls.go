package env

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"go.temporal.io/sdk/contrib/envconfig"
)

// The variables that configure TLS. envconfig ignores every other variable whose name begins with TEMPORAL_TLS_.
const (
	envTLS                     = "TEMPORAL_TLS"
	envClientCertPath          = "TEMPORAL_TLS_CLIENT_CERT_PATH"
	envClientCertData          = "TEMPORAL_TLS_CLIENT_CERT_DATA"
	envClientKeyPath           = "TEMPORAL_TLS_CLIENT_KEY_PATH"
	envClientKeyData           = "TEMPORAL_TLS_CLIENT_KEY_DATA"
	envServerCAPath            = "TEMPORAL_TLS_SERVER_CA_CERT_PATH"
	envServerCAData            = "TEMPORAL_TLS_SERVER_CA_CERT_DATA"
	envServerName              = "TEMPORAL_TLS_SERVER_NAME"
	envDisableHostVerification = "TEMPORAL_TLS_DISABLE_HOST_VERIFICATION"
)

var tlsVariables = []string{
	envClientCertPath, envClientCertData, envClientKeyPath, envClientKeyData,
	envServerCAPath, envServerCAData, envServerName, envDisableHostVerification,
}

// checkTLSVariables finds variables of TLS that envconfig would ignore, so that the connection were not as asked.
func (e Env) checkTLSVariables() error {
	var mistakes []error
	for _, name := range []string{envTLS, envDisableHostVerification} {
		value := e.Get(name, "")
		if value != "" && !slices.Contains([]string{"true", "false", "1", "0"}, strings.ToLower(value)) {
			mistakes = append(mistakes, fmt.Errorf("%s must be true or false, got %q", name, value))
		}
	}
	for _, setting := range e {
		name, value, _ := strings.Cut(setting, "=")
		rest, isTLS := strings.CutPrefix(name, "TEMPORAL_TLS_")
		switch {
		case !isTLS || value == "":
		case strings.HasPrefix(rest, "SERVICE_") || strings.HasPrefix(rest, "PORT"):
			// Kubernetes sets these for a service that is named temporal-tls.
		case !slices.Contains(tlsVariables, name):
			mistakes = append(mistakes, fmt.Errorf("%s is not known: the variables of TLS are %s",
				name, strings.Join(tlsVariables, ", ")))
		}
	}
	return errors.Join(mistakes...)
}

// pemSetting is a setting that holds PEM data or names a file that does.
type pemSetting struct {
	pathVariable, pathKey, path string
	dataVariable, dataKey       string
	data                        []byte
}

func (s pemSetting) set() bool { return s.path != "" || len(s.data) > 0 }

// name is the name of the setting that has the value.
func (s pemSetting) name(e Env) string {
	if s.path != "" {
		return e.name(s.pathVariable, s.pathKey)
	}
	return e.name(s.dataVariable, s.dataKey)
}

// read returns the PEM data, nil where the setting has no value.
func (s pemSetting) read(e Env) ([]byte, error) {
	switch {
	case s.path != "" && len(s.data) > 0:
		return nil, fmt.Errorf("%s and %s are both set: keep one",
			e.name(s.pathVariable, s.pathKey), e.name(s.dataVariable, s.dataKey))
	case s.path != "":
		data, err := os.ReadFile(s.path)
		if err != nil {
			return nil, fmt.Errorf("%s cannot be read: %w", s.name(e), err)
		}
		return data, nil
	}
	return s.data, nil
}

// loadTLS checks what the variables and the profile say of certificates, and reads their files. A file is read once, so
// that it can be a pipe.
func (e Env) loadTLS(c *envconfig.ClientConfigTLS) error {
	var mistakes []error
	switch {
	case c == nil:
		return nil
	case c.Disabled:
		for _, name := range tlsVariables {
			if e.Get(name, "") != "" {
				mistakes = append(mistakes,
					fmt.Errorf("%s is set, but %s turns TLS off", name, e.name(envTLS, "tls.disabled")))
			}
		}
		return errors.Join(mistakes...)
	}
	if err := CheckName(c.ServerName); err != nil {
		mistakes = append(mistakes, fmt.Errorf("%s %w", e.name(envServerName, "tls.server_name"), err))
	}
	mistakes = append(mistakes, e.loadKeyPair(c))
	authority := pemSetting{
		envServerCAPath, "tls.server_ca_cert_path", c.ServerCACertPath,
		envServerCAData, "tls.server_ca_cert_data", c.ServerCACertData,
	}
	pem, err := authority.read(e)
	if err == nil && authority.set() && !x509.NewCertPool().AppendCertsFromPEM(pem) {
		err = fmt.Errorf("%s holds no certificate in PEM form", authority.name(e))
	}
	c.ServerCACertPath, c.ServerCACertData = "", pem
	return errors.Join(append(mistakes, err)...)
}

// loadKeyPair reads and checks the client certificate and its key.
func (e Env) loadKeyPair(c *envconfig.ClientConfigTLS) error {
	certificate := pemSetting{
		envClientCertPath, "tls.client_cert_path", c.ClientCertPath,
		envClientCertData, "tls.client_cert_data", c.ClientCertData,
	}
	key := pemSetting{
		envClientKeyPath, "tls.client_key_path", c.ClientKeyPath,
		envClientKeyData, "tls.client_key_data", c.ClientKeyData,
	}
	certificatePEM, certificateErr := certificate.read(e)
	keyPEM, keyErr := key.read(e)
	if err := errors.Join(certificateErr, keyErr); err != nil {
		return err
	}
	c.ClientCertPath, c.ClientCertData = "", certificatePEM
	c.ClientKeyPath, c.ClientKeyData = "", keyPEM
	switch {
	case !certificate.set() && !key.set():
		return nil
	case !key.set():
		return fmt.Errorf("%s is set without %s or %s", certificate.name(e), key.pathVariable, key.dataVariable)
	case !certificate.set():
		return fmt.Errorf("%s is set without %s or %s", key.name(e), certificate.pathVariable, certificate.dataVariable)
	}
	if _, err := tls.X509KeyPair(certificatePEM, keyPEM); err != nil {
		return fmt.Errorf("%s and %s cannot be used: %w", certificate.name(e), key.name(e), err)
	}
	return nil
}
