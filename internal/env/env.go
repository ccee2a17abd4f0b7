// Package env reads what the worker and the starter take from the environment,
// which is handed to them, so that tests need not touch the process's own.
package env

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// Env is an environment in the form of os.Environ. Of two settings of one name
// the last wins.
type Env []string

// Environ makes an Env an [envconfig.EnvLookup].
func (e Env) Environ() []string { return e }

// LookupEnv is like os.LookupEnv.
func (e Env) LookupEnv(name string) (string, bool) {
	for i := len(e) - 1; i >= 0; i-- {
		if value, ok := strings.CutPrefix(e[i], name+"="); ok {
			return value, true
		}
	}
	return "", false
}

// Get is the value of a variable, or otherwise where it is unset or empty.
func (e Env) Get(name, otherwise string) string {
	if v, _ := e.LookupEnv(name); v != "" {
		return v
	}
	return otherwise
}

// TaskQueue is TEMPORAL_TASK_QUEUE. Default "atlas-provisioning".
func (e Env) TaskQueue() string { return e.Get("TEMPORAL_TASK_QUEUE", contract.TaskQueue) }

// TemporalOptions are what Temporal's own envconfig makes of TEMPORAL_ADDRESS,
// TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS…, TEMPORAL_PROFILE and
// TEMPORAL_CONFIG_FILE, with the address and namespace filled in.
// https://docs.temporal.io/develop/environment-configuration
func (e Env) TemporalOptions() (client.Options, error) {
	o, err := envconfig.LoadClientOptions(envconfig.LoadClientOptionsRequest{EnvLookup: e})
	if err != nil {
		return o, fmt.Errorf("the Temporal client configuration (TEMPORAL_… variables and profile) cannot be used: %w", withoutText(err))
	}
	if o.HostPort == "" {
		o.HostPort = client.DefaultHostPort
	}
	if o.Namespace == "" {
		o.Namespace = client.DefaultNamespace
	}
	return o, nil
}

var unparsed = regexp.MustCompile(`^failed parsing config: toml:( line \d+)?`)

// withoutText keeps the text of a profile that cannot be parsed out of the
// error: an API key that lacks its quotes would be part of it.
func withoutText(err error) error {
	if where := unparsed.FindString(err.Error()); where != "" {
		return errors.New(where + " is wrong (not shown, since it may hold a key)")
	}
	return err
}
