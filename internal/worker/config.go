package worker

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.uber.org/zap/zapcore"

	"github.com/atlas-provisioner/atlas-provisioner/activities"
	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/codec"
	"github.com/atlas-provisioner/atlas-provisioner/internal/env"
	"github.com/atlas-provisioner/atlas-provisioner/internal/worker/codecserver"
)

// The variables that the worker reads beside Temporal's own.
const (
	envBaseURL      = "MONGODB_ATLAS_BASE_URL"
	envAllowHTTP    = "MONGODB_ATLAS_ALLOW_HTTP"
	envClientID     = "MONGODB_ATLAS_CLIENT_ID"
	envClientSecret = "MONGODB_ATLAS_CLIENT_SECRET"
	envPublicKey    = "MONGODB_ATLAS_PUBLIC_API_KEY"
	envPrivateKey   = "MONGODB_ATLAS_PRIVATE_API_KEY"
	envAccessToken  = "MONGODB_ATLAS_ACCESS_TOKEN"
	envDeployment   = "TEMPORAL_DEPLOYMENT_NAME"
	envBuildID      = "TEMPORAL_WORKER_BUILD_ID"
	envHTTPAddress  = "WORKER_HTTP_ADDRESS"
	envLogLevel     = "LOG_LEVEL"
	envLogFormat    = "LOG_FORMAT"
)

// Config is what a worker runs with, all of it from the environment.
type Config struct {
	// Temporal is TEMPORAL_…, by Temporal's envconfig. Default
	// localhost:7233, namespace "default".
	Temporal client.Options
	// TaskQueue is TEMPORAL_TASK_QUEUE. Default "atlas-provisioning".
	TaskQueue string
	// Deployment is the version that this worker is of, by
	// TEMPORAL_DEPLOYMENT_NAME and TEMPORAL_WORKER_BUILD_ID, which Temporal's
	// worker controller sets. Default none: the worker is not versioned.
	Deployment worker.WorkerDeploymentVersion
	// BaseURL is MONGODB_ATLAS_BASE_URL. Default https://cloud.mongodb.com.
	BaseURL string
	// AllowHTTP is MONGODB_ATLAS_ALLOW_HTTP, which permits plain http off
	// loopback, for a simulator on a container network. Default false.
	AllowHTTP bool
	// Auth is the one kind of Atlas credential that is set.
	Auth atlasclient.Auth
	// Codec is of TEMPORAL_PAYLOAD_KEYS or TEMPORAL_PAYLOAD_KEYS_FILE. Default
	// none, which encrypts nothing.
	Codec codec.Codec
	// CodecServer is served at HTTPAddress. Default off.
	CodecServer codecserver.Config
	// HTTPAddress is WORKER_HTTP_ADDRESS, where /healthz, /readyz and /metrics
	// are served, such as ":8080". Default "", which serves none.
	HTTPAddress string
	// LogLevel is LOG_LEVEL: debug, info, warn or error. Default info.
	LogLevel zapcore.Level
	// LogFormat is LOG_FORMAT: json or console. Default json.
	LogFormat string

	// Pace and RequestTimeout are the activities' and the Atlas client's own
	// defaults but in tests, which have no time to wait.
	Pace           activities.Pace
	RequestTimeout time.Duration
}

// ReadConfig reads the environment. Its error joins one line for each mistake,
// with the variable's name and never its value where that is a secret.
func ReadConfig(e env.Env) (Config, error) {
	c := Config{
		TaskQueue:   e.TaskQueue(),
		BaseURL:     e.Get(envBaseURL, atlasclient.DefaultBaseURL),
		HTTPAddress: e.Get(envHTTPAddress, ""),
		LogFormat:   e.Get(envLogFormat, "json"),
	}
	var mistakes []error
	wrong := func(name, format string, args ...any) {
		mistakes = append(mistakes, fmt.Errorf(name+" "+format, args...))
	}
	var err error
	if c.Temporal, err = e.TemporalOptions(); err != nil {
		mistakes = append(mistakes, err)
	}
	if c.Deployment, err = readDeployment(e); err != nil {
		mistakes = append(mistakes, err)
	}
	if c.AllowHTTP, err = strconv.ParseBool(e.Get(envAllowHTTP, "false")); err != nil {
		wrong(envAllowHTTP, "must be true or false")
	}
	if err := atlasclient.CheckBaseURL(c.BaseURL, c.AllowHTTP); err != nil {
		wrong(envBaseURL, "%w", err)
	}
	if c.Auth, err = readAuth(e); err != nil {
		mistakes = append(mistakes, err)
	}
	if c.HTTPAddress != "" {
		if _, _, err := net.SplitHostPort(c.HTTPAddress); err != nil {
			wrong(envHTTPAddress, "must be host:port or :port, got %q", c.HTTPAddress)
		}
	}
	if err := c.readCodec(e); err != nil {
		mistakes = append(mistakes, err)
	}
	if c.LogLevel, err = zapcore.ParseLevel(e.Get(envLogLevel, "info")); err != nil {
		wrong(envLogLevel, "must be debug, info, warn or error, got %q", e.Get(envLogLevel, ""))
	}
	if c.LogFormat != "json" && c.LogFormat != "console" {
		wrong(envLogFormat, "must be json or console, got %q", c.LogFormat)
	}
	return c, errors.Join(mistakes...)
}

// readCodec reads the payload keys and who may call the codec server.
func (c *Config) readCodec(e env.Env) error {
	var keys, server error
	c.Codec, keys = codec.FromEnv(e.LookupEnv)
	c.CodecServer, server = codecserver.ReadConfig(e)
	mistakes := []error{keys, server}
	for _, name := range []string{codecserver.EnvOrigins, codecserver.EnvToken} {
		switch {
		case e.Get(name, "") == "":
		case c.HTTPAddress == "":
			mistakes = append(mistakes, fmt.Errorf("%s is set without %s, where the codec endpoint would be",
				name, envHTTPAddress))
		case keys == nil && !c.Codec.Encrypts():
			mistakes = append(mistakes, fmt.Errorf("%s is set without %s or %s: there is nothing to decode",
				name, codec.EnvKeys, codec.EnvKeysFile))
		}
	}
	return errors.Join(mistakes...)
}

// readDeployment takes both halves of a worker's version or neither.
func readDeployment(e env.Env) (v worker.WorkerDeploymentVersion, err error) {
	v = worker.WorkerDeploymentVersion{DeploymentName: e.Get(envDeployment, ""), BuildID: e.Get(envBuildID, "")}
	switch {
	case v == worker.WorkerDeploymentVersion{}:
		return v, nil
	case v.BuildID == "":
		return v, errors.New(envDeployment + " is set without " + envBuildID)
	case v.DeploymentName == "":
		return v, errors.New(envBuildID + " is set without " + envDeployment)
	}
	// The server would only say so once the worker polls.
	var mistakes []error
	if strings.ContainsAny(v.DeploymentName, ".: \t\r\n") || strings.HasPrefix(v.DeploymentName, "__") {
		mistakes = append(mistakes, fmt.Errorf("%s must hold no dot, colon or white space and not begin with __, got %q", envDeployment, v.DeploymentName))
	}
	if strings.ContainsAny(v.BuildID, " \t\r\n") || strings.HasPrefix(v.BuildID, "__") {
		mistakes = append(mistakes, fmt.Errorf("%s must hold no white space and not begin with __, got %q", envBuildID, v.BuildID))
	}
	return v, errors.Join(mistakes...)
}

// readAuth takes the one kind of credential that is set, and all of it.
func readAuth(e env.Env) (atlasclient.Auth, error) {
	kinds := []struct {
		names []string
		auth  func(values []string) atlasclient.Auth
	}{
		{[]string{envClientID, envClientSecret}, func(v []string) atlasclient.Auth {
			return atlasclient.ServiceAccount{ClientID: v[0], ClientSecret: v[1]}
		}},
		{[]string{envPublicKey, envPrivateKey}, func(v []string) atlasclient.Auth {
			return atlasclient.APIKey{PublicKey: v[0], PrivateKey: v[1]}
		}},
		{[]string{envAccessToken}, func(v []string) atlasclient.Auth {
			return atlasclient.AccessToken(v[0])
		}},
	}
	var found []atlasclient.Auth
	var set, choices []string
	var mistakes []error
	for _, kind := range kinds {
		choices = append(choices, strings.Join(kind.names, " and "))
		var have, lack, values []string
		for _, name := range kind.names {
			value := e.Get(name, "")
			switch {
			case value == "":
				lack = append(lack, name)
				continue
			case strings.ContainsAny(value, " \t\r\n"):
				mistakes = append(mistakes, fmt.Errorf("%s holds white space: set the bare value", name))
			}
			have, values = append(have, name), append(values, value)
		}
		set = append(set, have...)
		switch {
		case len(have) == 0:
		case len(lack) > 0:
			mistakes = append(mistakes, fmt.Errorf("%s is set without %s", have[0], lack[0]))
		default:
			found = append(found, kind.auth(values))
		}
	}
	switch {
	case len(found) > 1:
		mistakes = append(mistakes, fmt.Errorf("more than one Atlas credential is set (%s): keep one kind", strings.Join(set, ", ")))
	case len(set) == 0:
		mistakes = append(mistakes, fmt.Errorf("no Atlas credential is set: set %s", strings.Join(choices, ", or ")))
	}
	if len(mistakes) > 0 {
		return nil, errors.Join(mistakes...)
	}
	return found[0], nil
}
