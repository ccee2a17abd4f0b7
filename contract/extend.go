package contract

import (
	"reflect"
	"strings"
	"time"
)

// ExtendUpdate is the update that moves the time limit of a run. Input: [ExtendInput]; answer: [Extended]. It is
// refused with INVALID_INPUT.
const ExtendUpdate = "extend"

// MaxTimeLimit bounds the time limit of a run, extensions included: a week.
const MaxTimeLimit = 7 * 24 * time.Hour

// ExtendInput is the input of the update [ExtendUpdate].
type ExtendInput struct {
	// Seconds by which the limit is moved, from 1 on.
	Seconds int `json:"seconds"`
}

// Extended is the answer to the update [ExtendUpdate].
type Extended struct {
	// Deadline is when the time of the run is up.
	Deadline time.Time `json:"deadline"`
}

// ExtensionError says why a limit was not moved. It is what becomes the failure [InvalidInput] of an update.
type ExtensionError struct{ Violations []Violation }

// Error names everything that is wrong.
func (e *ExtensionError) Error() string {
	all := make([]string, len(e.Violations))
	for i, v := range e.Violations {
		all[i] = v.String()
	}
	return "invalid input: " + strings.Join(all, "; ") + ". The limit was not moved"
}

// ParseExtension reads and checks the input of [ExtendUpdate] as it came in. The limit can be moved by most; reason
// says why not by more. It fails with an [*ExtensionError].
func ParseExtension(data []byte, most time.Duration, reason string) (time.Duration, error) {
	var in ExtendInput
	decoded := decode(data, reflect.ValueOf(&in).Elem())
	longest := int(most / time.Second)
	var rules []Violation
	switch {
	case longest < 1:
		rules = violation("seconds", "cannot be given: %s", reason)
	case in.Seconds < 1 || in.Seconds > longest:
		rules = violation("seconds", "must be from 1 to %d, got %d: %s", longest, in.Seconds, reason)
	}
	if violations := decoded.merge(rules); len(violations) > 0 {
		return 0, &ExtensionError{Violations: violations}
	}
	return time.Duration(in.Seconds) * time.Second, nil
}
