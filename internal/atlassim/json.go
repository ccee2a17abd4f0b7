package atlassim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// jsonDuration is a duration that is a string such as "2s" in JSON.
type jsonDuration time.Duration

// MarshalJSON writes the duration as Go prints it.
func (d jsonDuration) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(d).String())
}

// UnmarshalJSON reads what time.ParseDuration reads.
func (d *jsonDuration) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return fmt.Errorf("a duration is a string such as \"2s\", not %s", data)
	}
	parsed, err := time.ParseDuration(text)
	*d = jsonDuration(parsed)
	return err
}

type configAlias Config // without the methods

// UnmarshalJSON reads a Config as cmd/atlas-sim takes it from a file:
// durations are strings such as "2s", and attributes it does not know are
// refused. What the JSON leaves out stays as it is.
func (c *Config) UnmarshalJSON(data []byte) error {
	// The shadows below win over the fields of the same name in Config.
	in := struct {
		*configAlias
		TokenTTL      *jsonDuration `json:"tokenTTL"`
		NonceTTL      *jsonDuration `json:"nonceTTL"`
		CreateFor     *jsonDuration `json:"createFor"`
		RepairingFor  *jsonDuration `json:"repairingFor"`
		HiddenFor     *jsonDuration `json:"hiddenFor"`
		StandardAfter *jsonDuration `json:"standardAfter"`
		UpgradeFor    *jsonDuration `json:"upgradeFor"`
		StaleIdleFor  *jsonDuration `json:"staleIdleFor"`
		DeleteFor     *jsonDuration `json:"deleteFor"`
		NameHeldFor   *jsonDuration `json:"nameHeldFor"`
	}{
		(*configAlias)(c),
		(*jsonDuration)(&c.TokenTTL), (*jsonDuration)(&c.NonceTTL),
		(*jsonDuration)(&c.CreateFor), (*jsonDuration)(&c.RepairingFor),
		(*jsonDuration)(&c.HiddenFor), (*jsonDuration)(&c.StandardAfter),
		(*jsonDuration)(&c.UpgradeFor), (*jsonDuration)(&c.StaleIdleFor),
		(*jsonDuration)(&c.DeleteFor), (*jsonDuration)(&c.NameHeldFor),
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(&in)
}
