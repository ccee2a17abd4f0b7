package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Violation is one field of an input that is wrong, and how.
type Violation struct {
	Field   string `json:"field"`
	Problem string `json:"problem"`
}

func (v Violation) String() string { return v.Field + " " + v.Problem }

// InputError says everything that is wrong with an input. It is what becomes
// the failure [InvalidInput].
type InputError struct{ Violations []Violation }

// Error names every field that is wrong.
func (e *InputError) Error() string {
	all := make([]string, len(e.Violations))
	for i, v := range e.Violations {
		all[i] = v.String()
	}
	return "invalid input: " + strings.Join(all, "; ") + ". Nothing was sent to Atlas: correct the input and start the workflow again"
}

// ParseProvisionFlexCluster reads and checks an input as it came in, and fails
// with an [*InputError] that names every field that is wrong. workflowID is
// the run's own: it becomes the value of the ownership tag.
func ParseProvisionFlexCluster(data []byte, workflowID string) (ProvisionFlexClusterInput, error) {
	var in ProvisionFlexClusterInput
	mistyped := decode(data, &in)
	return in, inputError(merge(mistyped, in.violations(workflowID)))
}

// Validate checks the input without decoding it; see [ParseProvisionFlexCluster].
func (in ProvisionFlexClusterInput) Validate(workflowID string) error {
	return inputError(in.violations(workflowID))
}

func (in ProvisionFlexClusterInput) violations(workflowID string) []Violation {
	out := check(in.GroupID, in.Name, in.ProviderSettings, "FLEX", in.Tags, in.TimeoutSeconds)
	if in.Tagged() && utf8.RuneCountInString(workflowID) > maxTag {
		out = append(out, Violation{"ownershipTag", fmt.Sprintf(
			"cannot hold a workflow id of more than %d characters: use a shorter id, or set it to false", maxTag)})
	}
	return out
}

// ParseUpgradeToServerless reads and checks an input as it came in, and fails
// with an [*InputError] that names every field that is wrong.
func ParseUpgradeToServerless(data []byte) (UpgradeToServerlessInput, error) {
	var in UpgradeToServerlessInput
	mistyped := decode(data, &in)
	return in, inputError(merge(mistyped, in.violations()))
}

// Validate checks the input without decoding it; see [ParseUpgradeToServerless].
func (in UpgradeToServerlessInput) Validate() error { return inputError(in.violations()) }

func (in UpgradeToServerlessInput) violations() []Violation {
	return check(in.GroupID, in.Name, in.ProviderSettings, "SERVERLESS", in.Tags, in.TimeoutSeconds)
}

var (
	groupIDPattern = regexp.MustCompile(`^[a-f0-9]{24}$`)
	namePattern    = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9-]*$`)
)

const (
	maxName = 64
	// The first 23 characters of a name make the host name
	// (https://www.mongodb.com/docs/atlas/reference/atlas-limits/).
	namePrefix = 23
	maxTag     = 255
	// MaxTimeoutSeconds is one day.
	MaxTimeoutSeconds = 86400
)

// check holds what Atlas documents of a cluster's fields. What changes without
// notice, such as the list of regions, is left to Atlas.
func check(groupID, name string, p ProviderSettings, providerName string, tags []Tag, timeoutSeconds *int) []Violation {
	var out []Violation
	wrong := func(field, format string, args ...any) {
		out = append(out, Violation{field, fmt.Sprintf(format, args...)})
	}
	if !groupIDPattern.MatchString(groupID) {
		wrong("groupId", "must be the project's id of 24 hexadecimal digits (0-9, a-f), got %q", groupID)
	}
	switch {
	case !namePattern.MatchString(name):
		wrong("name", "must begin with a letter or digit and hold only letters, digits and hyphens, got %q", name)
	case len(name) > maxName:
		wrong("name", "must have %d characters at most, got %d", maxName, len(name))
	case name[min(len(name), namePrefix)-1] == '-':
		wrong("name", "must not end in a hyphen, nor may its first %d characters, which make the host name, got %q", namePrefix, name)
	}
	switch p.BackingProviderName {
	case "AWS", "AZURE", "GCP":
	default:
		wrong("providerSettings.backingProviderName", "must be AWS, AZURE or GCP, got %q", p.BackingProviderName)
	}
	if p.RegionName == "" {
		wrong("providerSettings.regionName", "must name a region, such as US_EAST_1")
	}
	if p.ProviderName != "" && p.ProviderName != providerName {
		wrong("providerSettings.providerName", "must be %s or left out, got %q", providerName, p.ProviderName)
	}
	seen := map[string]bool{}
	for i, t := range tags {
		field := fmt.Sprintf("tags[%d]", i)
		if n := utf8.RuneCountInString(t.Key); n < 1 || n > maxTag {
			wrong(field+".key", "must have 1 to %d characters, got %d", maxTag, n)
		}
		if n := utf8.RuneCountInString(t.Value); n < 1 || n > maxTag {
			wrong(field+".value", "must have 1 to %d characters, got %d", maxTag, n)
		}
		if t.Key == OwnershipTag {
			wrong(field+".key", "is %s, which is reserved", OwnershipTag)
		}
		if seen[t.Key] {
			wrong(field+".key", "is given twice: %q", t.Key)
		}
		seen[t.Key] = true
	}
	if timeoutSeconds != nil && (*timeoutSeconds < 1 || *timeoutSeconds > MaxTimeoutSeconds) {
		wrong("timeoutSeconds", "must be from 1 to %d, got %d", MaxTimeoutSeconds, *timeoutSeconds)
	}
	return out
}

// merge leaves out what is wrong with the value of a field that has none,
// because it could not be decoded.
func merge(mistyped, wrong []Violation) []Violation {
	return append(mistyped, slices.DeleteFunc(wrong, func(w Violation) bool {
		return slices.ContainsFunc(mistyped, func(m Violation) bool { return m.Field == w.Field })
	})...)
}

func inputError(violations []Violation) error {
	if len(violations) == 0 {
		return nil
	}
	return &InputError{Violations: violations}
}

// decode fills into from one JSON object, field by field, so that every field
// that does not fit is named and not just the first.
func decode(data []byte, into any) []Violation {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil || object == nil {
		return []Violation{{Field: "input", Problem: "must be one JSON object"}}
	}
	var out []Violation
	//workflowcheck:ignore the keys are sorted
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if err := decodeField(name, object[name], into); err != nil {
			out = append(out, *err)
		}
	}
	return out
}

// decodeField decodes one field into the struct that has it. A field that no
// struct has is refused: a mistyped name that is silently ignored would make
// a cluster that nobody asked for.
func decodeField(name string, value json.RawMessage, into any) *Violation {
	object, err := json.Marshal(map[string]json.RawMessage{name: value})
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(object))
		d.DisallowUnknownFields()
		err = d.Decode(into)
	}
	var mismatch *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &mismatch):
		return &Violation{mismatch.Field, fmt.Sprintf("must be %s, got a JSON %s", jsonKind(mismatch.Type.Kind().String()), mismatch.Value)}
	}
	// encoding/json has no type for this error: `json: unknown field "x"`.
	if _, field, ok := strings.Cut(err.Error(), "unknown field "); ok {
		return &Violation{name, "has a field that is not known: " + field}
	}
	return &Violation{name, "cannot be read"}
}

func jsonKind(kind string) string {
	switch kind {
	case "struct", "map":
		return "an object"
	case "slice":
		return "an array"
	case "bool":
		return "true or false"
	case "int":
		return "a whole number"
	default:
		return "a " + kind
	}
}
