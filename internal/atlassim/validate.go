package atlassim

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Validate names everything that is wrong with c, one error for each mistake, joined by [errors.Join].
func (c Config) Validate() error {
	var errs []error
	pair := func(a, b, names string) {
		if (a == "") != (b == "") {
			errs = append(errs, fmt.Errorf("%s: set both or neither", names))
		}
	}
	pair(c.PublicKey, c.PrivateKey, "publicKey and privateKey")
	pair(c.ClientID, c.ClientSecret, "clientId and clientSecret")
	settings := reflect.ValueOf(c)
	for i := range settings.NumField() {
		name, _, _ := strings.Cut(settings.Type().Field(i).Tag.Get("json"), ",")
		switch value := settings.Field(i).Interface().(type) {
		case Duration:
			if value < 0 {
				errs = append(errs, fmt.Errorf("%s: %s must not be negative", name, value))
			}
		case int:
			if value < 0 {
				errs = append(errs, fmt.Errorf("%s: %d must not be negative", name, value))
			}
		}
	}
	if c.ClientID != "" && c.TokenTTL == 0 {
		errs = append(errs, errors.New("tokenTTL: 0 makes tokens that are never good; DefaultConfig has an hour"))
	}
	if c.RateLimit > 0 && c.RefillPerMinute == 0 {
		errs = append(errs, errors.New("refillPerMinute: 0 never fills the bucket of rateLimit again"))
	}
	for _, id := range slices.Concat(c.Groups, c.ForeignGroups) {
		if !groupPattern.MatchString(id) {
			errs = append(errs, fmt.Errorf("groups: %q is not 24 hexadecimal digits", id))
		}
	}
	for _, v := range c.RetiredVersions {
		if !versionPattern.MatchString(v) {
			errs = append(errs, fmt.Errorf("retiredVersions: %q is not a date like 2023-02-01", v))
		}
	}
	for _, seed := range c.Shared {
		if err := seed.Validate(); err != nil {
			errs = append(errs, err)
		}
	}
	for i, f := range c.Faults {
		if err := f.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("faults[%d]: %s", i, strings.ReplaceAll(err.Error(), "\n", "; ")))
		}
	}
	return errors.Join(errs...)
}
