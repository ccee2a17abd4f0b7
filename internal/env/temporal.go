package env

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
)

// defaultPort is the port of an address without one, as in Temporal's TypeScript SDK. gRPC itself would use 443.
const defaultPort = "7233"

// TemporalOptions reads TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS…, TEMPORAL_PROFILE and
// TEMPORAL_CONFIG_FILE with Temporal's own envconfig, and fills in the default address and namespace. It is stricter
// than envconfig, which ignores what it does not understand: that would connect to the wrong place, or without TLS.
//
// It also checks the other variables by which a program reaches Temporal: the task queue, the Web UI, proxies and
// certificates. The error has one line for each mistake, which names the variable.
//
// https://docs.temporal.io/develop/environment-configuration
func (e Env) TemporalOptions() (client.Options, error) {
	mistakes := []error{e.checkTLSVariables(), e.checkOthers(), e.checkNetwork()}
	profile, err := e.loadProfile()
	if err != nil {
		return client.Options{}, errors.Join(append(mistakes, err)...)
	}
	mistakes = append(mistakes, e.checkProfile(&profile), e.loadTLS(profile.TLS))
	if err := errors.Join(mistakes...); err != nil {
		return client.Options{}, err
	}
	options, err := profile.ToClientOptions(envconfig.ToClientOptionsRequest{})
	if err != nil {
		return options, fmt.Errorf("the Temporal client configuration (TEMPORAL_… variables and profile) cannot be "+
			"used: %w", err)
	}
	options.HostPort = cmp.Or(options.HostPort, client.DefaultHostPort)
	options.Namespace = cmp.Or(options.Namespace, client.DefaultNamespace)
	return options, nil
}

// setVariables is an [envconfig.EnvLookup] for which an empty variable is not set. For envconfig alone, an empty
// TEMPORAL_TLS_SERVER_NAME turns TLS on.
type setVariables Env

// Environ is like os.Environ.
func (s setVariables) Environ() []string { return s }

// LookupEnv is like os.LookupEnv.
func (s setVariables) LookupEnv(name string) (string, bool) {
	value := Env(s).Get(name, "")
	return value, value != ""
}

// loadProfile reads the profile and puts the variables over it.
func (e Env) loadProfile() (envconfig.ClientConfigProfile, error) {
	options := envconfig.LoadClientConfigProfileOptions{EnvLookup: setVariables(e), ConfigFileStrict: true}
	file := e.Get("TEMPORAL_CONFIG_FILE", "")
	if file != "" {
		var err error
		if options.ConfigFileData, err = os.ReadFile(file); err != nil {
			return envconfig.ClientConfigProfile{}, fmt.Errorf("TEMPORAL_CONFIG_FILE cannot be read: %w", err)
		}
	}
	profile, err := envconfig.LoadClientConfigProfile(options)
	if err == nil {
		return profile, nil
	}
	source := "TEMPORAL_CONFIG_FILE"
	if file == "" {
		source = envconfig.DefaultConfigFilePath()
	}
	if strings.HasPrefix(err.Error(), "unable to find profile ") {
		return profile, fmt.Errorf("TEMPORAL_PROFILE is %q, and %s has no such profile", e.Get("TEMPORAL_PROFILE", ""),
			cmp.Or(source, "the configuration file"))
	}
	if keys, unknown := strings.CutPrefix(err.Error(), "failed parsing config: key(s) unrecognized: "); unknown {
		return profile, fmt.Errorf("%s holds keys that Temporal does not know: %s", source, keys)
	}
	return profile, fmt.Errorf("%s cannot be used: %w", source, withoutText(err))
}

var parseError = regexp.MustCompile(`^failed parsing config: toml:( line \d+)?`)

// withoutText removes the text of the file from a parse error: an API key that lacks its quotes would be part of it.
func withoutText(err error) error {
	if where := parseError.FindString(err.Error()); where != "" {
		return errors.New(where + " is wrong (not shown, since it may hold a key)")
	}
	return err
}

// checkProfile checks names and keys, and puts the port into the address.
func (e Env) checkProfile(p *envconfig.ClientConfigProfile) error {
	var mistakes []error
	check := func(variable, key string, err error) {
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s %w", e.name(variable, key), err))
		}
	}
	check("TEMPORAL_NAMESPACE", "namespace", CheckName(p.Namespace))
	check("TEMPORAL_API_KEY", "api_key", CheckSecret(p.APIKey))
	check("TEMPORAL_CLIENT_AUTHORITY", "authority", CheckName(p.Authority))
	if p.Address != "" {
		address, err := withPort(p.Address)
		check("TEMPORAL_ADDRESS", "address", err)
		p.Address = address
	}
	for _, key := range slices.Sorted(maps.Keys(p.GRPCMeta)) {
		variable := "TEMPORAL_GRPC_META_" + strings.ToUpper(strings.ReplaceAll(key, "-", "_"))
		check(variable, "grpc_meta."+key, checkHeader(key, p.GRPCMeta[key]))
	}
	return errors.Join(mistakes...)
}

// name is the name of a setting: a variable, and where the value comes from a profile its key there.
func (e Env) name(variable, key string) string {
	if e.Get(variable, "") != "" {
		return variable
	}
	profile := e.Get("TEMPORAL_PROFILE", envconfig.DefaultConfigFileProfile)
	return fmt.Sprintf("%s (%s of profile %q)", variable, key, profile)
}

var headerName = regexp.MustCompile(`^[a-z0-9._-]+$`)

// checkHeader returns why gRPC cannot send a header. The error does not hold the value, which may be a credential.
func checkHeader(name, value string) error {
	switch {
	case !headerName.MatchString(name), strings.HasPrefix(name, "grpc-"):
		return errors.New("is not the name of a header that can be sent")
	case strings.TrimSpace(value) != value:
		return errors.New("has white space or a line end around it: set the bare value")
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }):
		return errors.New("holds a character that no header has")
	}
	return nil
}

// resolverAddress matches the addresses that name a resolver of gRPC's, such as dns:///temporal:7233.
var resolverAddress = regexp.MustCompile(`^((?:dns|passthrough)://[^/]*/)(.*)$`)

// withPort returns an address with a port, which is the default one where the address has none.
func withPort(address string) (string, error) {
	if strings.HasPrefix(address, "unix:") {
		return address, CheckName(address)
	}
	if m := resolverAddress.FindStringSubmatch(address); m != nil {
		rest, err := withPort(m[2])
		return m[1] + rest, err
	}
	bare := strings.TrimSuffix(strings.TrimPrefix(address, "["), "]")
	if _, err := netip.ParseAddr(bare); err == nil || hostName.MatchString(address) {
		return net.JoinHostPort(bare, defaultPort), nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || !ValidPort(port) || host != "" && !ValidHost(host) {
		return "", fmt.Errorf("must be host:port, such as localhost:7233, with a port from 1 to 65535, got %q", address)
	}
	return address, nil
}

// checkOthers checks the variables that are not part of Temporal's own configuration.
func (e Env) checkOthers() error {
	var mistakes []error
	if err := CheckName(e.TaskQueue()); err != nil {
		mistakes = append(mistakes, fmt.Errorf("TEMPORAL_TASK_QUEUE %w", err))
	}
	if ui := e.Get("TEMPORAL_UI_URL", ""); ui != "" && !ValidURL(ui) {
		mistakes = append(mistakes, errors.New("TEMPORAL_UI_URL must be a URL such as https://temporal.example.com"))
	}
	return errors.Join(mistakes...)
}
