package codecserver

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/atlas-provisioner/atlas-provisioner/internal/env"
)

// The variables that [ReadConfig] reads.
const (
	EnvOrigins = "TEMPORAL_CODEC_ORIGINS"
	EnvToken   = "TEMPORAL_CODEC_TOKEN"
)

// Config says who may call the codec server. The zero Config turns it off.
type Config struct {
	// Origins is TEMPORAL_CODEC_ORIGINS: the origins of the Web UIs whose pages may call the server.
	Origins []string
	// Token is TEMPORAL_CODEC_TOKEN: the bearer token that every caller must send. Default none: the server lets in
	// whoever may read the namespace by Temporal's own rules.
	Token string
}

// Enabled tells whether the server is turned on.
func (c Config) Enabled() bool { return len(c.Origins) > 0 || c.Token != "" }

// ReadConfig reads the environment. The error has one line for each mistake, which names the variable.
func ReadConfig(e env.Env) (Config, error) {
	c := Config{Token: e.Get(EnvToken, "")}
	var mistakes []error
	for origin := range strings.SplitSeq(e.Get(EnvOrigins, ""), ",") {
		origin = strings.TrimSpace(origin)
		switch {
		case origin == "":
		case isOrigin(origin):
			c.Origins = append(c.Origins, origin)
		default:
			mistakes = append(mistakes, fmt.Errorf("%s must hold origins such as https://temporal.example.com, "+
				"with commas between them, got %q", EnvOrigins, origin))
		}
	}
	if err := env.CheckSecret(c.Token); err != nil {
		mistakes = append(mistakes, fmt.Errorf("%s %w", EnvToken, err))
	}
	return c, errors.Join(mistakes...)
}

// isOrigin tells whether a text has the form that browsers send: scheme, host and port, and nothing else.
func isOrigin(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && text == u.Scheme+"://"+u.Host &&
		env.ValidHost(u.Hostname()) && !strings.HasSuffix(u.Host, ":") && (u.Port() == "" || env.ValidPort(u.Port()))
}
