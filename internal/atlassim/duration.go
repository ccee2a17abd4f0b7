package atlassim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Duration is a [time.Duration] that is a string such as "8s" in JSON. It is the type of every duration that can be
// set on the simulator: in [Config], in [Fault], and so in configuration files and in the control interface.
type Duration time.Duration

// String writes the duration as Go prints it.
func (d Duration) String() string { return time.Duration(d).String() }

// after is the time when d has passed since t.
func (d Duration) after(t time.Time) time.Time { return t.Add(time.Duration(d)) }

// MarshalText writes the duration as Go prints it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalJSON reads what time.ParseDuration reads.
func (d *Duration) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return fmt.Errorf("a duration is a string such as \"2s\", not %s", data)
	}
	parsed, err := time.ParseDuration(text)
	*d = Duration(parsed)
	return err
}

// UnmarshalJSON reads a Config as cmd/atlas-sim takes it from a file. What the JSON leaves out stays as it is, and
// attributes that Config does not have are refused.
func (c *Config) UnmarshalJSON(data []byte) error {
	type withoutMethods Config
	return decodeStrictly(data, (*withoutMethods)(c))
}

// UnmarshalJSON refuses attributes that Fault does not have, so that a typing error does not make a fault that never
// strikes.
func (f *Fault) UnmarshalJSON(data []byte) error {
	type withoutMethods Fault
	return decodeStrictly(data, (*withoutMethods)(f))
}

// decodeStrictly refuses attributes that v does not have.
func decodeStrictly(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(v)
}
