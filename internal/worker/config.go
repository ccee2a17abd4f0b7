package worker

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.uber.org/zap/zapcore"

	"github.com/atlas-provisioner/atlas-provisioner/activities"
	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/codec"
	"github.com/atlas-provisioner/atlas-provisioner/internal/env"
	"github.com/atlas-provisioner/atlas-provisioner/internal/tracing"
	"github.com/atlas-provisioner/atlas-provisioner/internal/worker/codecserver"
)

// The variables that the worker reads, apart from Temporal's own and those of codec,
// codecserver and tracing.
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

// Config is the configuration of a worker, which it reads from the environment.
type Config struct {
	// Temporal is TEMPORAL_…, as Temporal's envconfig defines it. Default localhost:7233, namespace "default".
	Temporal client.Options
	// TaskQueue is TEMPORAL_TASK_QUEUE. Default "atlas-provisioning".
	TaskQueue string
	// Deployment is the version of this worker: TEMPORAL_DEPLOYMENT_NAME and TEMPORAL_WORKER_BUILD_ID, which Temporal's
	// worker controller sets. Default none: the worker is not versioned.
	Deployment worker.WorkerDeploymentVersion
	// BaseURL is MONGODB_ATLAS_BASE_URL. Default https://cloud.mongodb.com.
	BaseURL string
	// AllowHTTP is MONGODB_ATLAS_ALLOW_HTTP, which permits plain http to other hosts than this one, for a simulator on
	// a container network. Default false.
	AllowHTTP bool
	// Auth is the one kind of Atlas credential that is set.
	Auth atlasclient.Auth
	// Codec has the keys of TEMPORAL_PAYLOAD_KEYS or TEMPORAL_PAYLOAD_KEYS_FILE. Default none: nothing is encrypted.
	Codec codec.Codec
	// CodecServer says who may call the codec server at HTTPAddress. Default off.
	CodecServer codecserver.Config
	// HTTPAddress is WORKER_HTTP_ADDRESS, where /healthz, /readyz and /metrics are served, such as ":8080". Default "":
	// they are not served.
	HTTPAddress string
	// Tracing says where traces go, by OpenTelemetry's OTEL_… variables. Default: nowhere.
	Tracing tracing.Config
	// LogLevel is LOG_LEVEL: debug, info, warn or error. Default info.
	LogLevel zapcore.Level
	// LogFormat is LOG_FORMAT: json or console. Default json.
	LogFormat string

	// Pace and RequestTimeout are set by tests only, which wait less than the defaults of activities and atlasclient.
	Pace           activities.Pace
	RequestTimeout time.Duration
}

// ReadConfig reads the environment. The error has one line for each mistake, which names the variable, and never shows
// the value of a secret.
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
	if c.HTTPAddress != "" && !validListenAddress(c.HTTPAddress) {
		wrong(envHTTPAddress, "must be host:port or :port, with a port from 0 to 65535, got %q", c.HTTPAddress)
	}
	if err := c.readCodec(e); err != nil {
		mistakes = append(mistakes, err)
	}
	if c.Tracing, err = tracing.ReadConfig(e); err != nil {
		mistakes = append(mistakes, err)
	}
	// zap has levels above error, which would hide errors, and would end the program where one is logged.
	if c.LogLevel, err = zapcore.ParseLevel(e.Get(envLogLevel, "info")); err != nil || c.LogLevel > zapcore.ErrorLevel {
		wrong(envLogLevel, "must be debug, info, warn or error, got %q", e.Get(envLogLevel, ""))
	}
	if c.LogFormat != "json" && c.LogFormat != "console" {
		wrong(envLogFormat, "must be json or console, got %q", c.LogFormat)
	}
	return c, errors.Join(mistakes...)
}

// validListenAddress tells whether one can listen at an address. Port 0 lets the system choose one.
func validListenAddress(address string) bool {
	host, port, err := net.SplitHostPort(address)
	return err == nil && (host == "" || env.ValidHost(host)) && (port == "0" || env.ValidPort(port))
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

// readDeployment reads the version of the worker: both variables or neither.
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
	// The server checks these too, but only once the worker polls.
	var mistakes []error
	refuse := func(name, value, what string) {
		mistakes = append(mistakes, fmt.Errorf("%s must hold no %s and not begin with __, got %q", name, what, value))
	}
	if strings.ContainsAny(v.DeploymentName, ".:") || unusableName(v.DeploymentName) {
		refuse(envDeployment, v.DeploymentName, "dot, colon or white space")
	}
	if unusableName(v.BuildID) {
		refuse(envBuildID, v.BuildID, "white space")
	}
	return v, errors.Join(mistakes...)
}

func unusableName(name string) bool {
	return strings.HasPrefix(name, "__") || strings.ContainsFunc(name, unicode.IsSpace) || env.CheckName(name) != nil
}
