package worker

import (
	"errors"
	"fmt"
	"strings"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/internal/env"
)

// credentialKind is a kind of Atlas credential: the variables that hold it, and what is made of their values.
type credentialKind struct {
	variables []string
	auth      func(values []string) atlasclient.Auth
}

// credentialName names the kind of a credential.
func credentialName(auth atlasclient.Auth) string {
	switch auth.(type) {
	case atlasclient.ServiceAccount:
		return "service account"
	case atlasclient.APIKey:
		return "API key"
	}
	return "access token"
}

var credentialKinds = []credentialKind{
	{[]string{envClientID, envClientSecret}, func(v []string) atlasclient.Auth {
		return atlasclient.ServiceAccount{ClientID: v[0], ClientSecret: v[1]}
	}},
	{[]string{envPublicKey, envPrivateKey}, func(v []string) atlasclient.Auth {
		return atlasclient.APIKey{PublicKey: v[0], PrivateKey: v[1]}
	}},
	{[]string{envAccessToken}, func(v []string) atlasclient.Auth { return atlasclient.AccessToken(v[0]) }},
}

// readAuth reads the one kind of credential that is set. Several kinds, none, or half a kind are an error.
func readAuth(e env.Env) (atlasclient.Auth, error) {
	var complete []atlasclient.Auth
	var set, choices []string
	var mistakes []error
	for _, kind := range credentialKinds {
		choices = append(choices, strings.Join(kind.variables, " and "))
		var have, missing, values []string
		for _, name := range kind.variables {
			value := e.Get(name, "")
			if value == "" {
				missing = append(missing, name)
				continue
			}
			if err := env.CheckSecret(value); err != nil {
				mistakes = append(mistakes, fmt.Errorf("%s %w", name, err))
			}
			have, values = append(have, name), append(values, value)
		}
		set = append(set, have...)
		switch {
		case len(have) == 0:
		case len(missing) > 0:
			mistakes = append(mistakes, fmt.Errorf("%s is set without %s", have[0], missing[0]))
		default:
			complete = append(complete, kind.auth(values))
		}
	}
	switch {
	case len(complete) > 1:
		mistakes = append(mistakes, fmt.Errorf("more than one Atlas credential is set (%s): keep one kind",
			strings.Join(set, ", ")))
	case len(set) == 0:
		mistakes = append(mistakes, fmt.Errorf("no Atlas credential is set: set %s", strings.Join(choices, ", or ")))
	}
	if len(mistakes) > 0 {
		return nil, errors.Join(mistakes...)
	}
	return complete[0], nil
}
