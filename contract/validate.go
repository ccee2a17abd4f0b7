package contract

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
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
	d := decode(data, &in)
	return in, inputError(d.and(in.violations(workflowID)))
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
	d := decode(data, &in)
	return in, inputError(d.and(in.violations()))
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
		wrong("groupId", "must be the project's id of 24 hexadecimal digits (0-9, a-f), got %q", short(groupID))
	}
	switch {
	case !namePattern.MatchString(name):
		wrong("name", "must begin with a letter or digit and hold only letters, digits and hyphens, got %q", short(name))
	case len(name) > maxName:
		wrong("name", "must have %d characters at most, got %d", maxName, len(name))
	case name[min(len(name), namePrefix)-1] == '-':
		wrong("name", "must not end in a hyphen, nor may its first %d characters, which make the host name, got %q", namePrefix, short(name))
	}
	switch p.BackingProviderName {
	case "AWS", "AZURE", "GCP":
	default:
		wrong("providerSettings.backingProviderName", "must be AWS, AZURE or GCP, got %q", short(p.BackingProviderName))
	}
	if p.RegionName == "" {
		wrong("providerSettings.regionName", "must name a region, such as US_EAST_1")
	}
	if p.ProviderName != "" && p.ProviderName != providerName {
		wrong("providerSettings.providerName", "must be %s or left out, got %q", providerName, short(p.ProviderName))
	}
	if p.DiskSizeGB != 0 {
		wrong("providerSettings.diskSizeGB", "cannot be chosen: leave it out")
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
			wrong(field+".key", "is given twice: %q", short(t.Key))
		}
		seen[t.Key] = true
	}
	if timeoutSeconds != nil && (*timeoutSeconds < 1 || *timeoutSeconds > MaxTimeoutSeconds) {
		wrong("timeoutSeconds", "must be from 1 to %d, got %d", MaxTimeoutSeconds, *timeoutSeconds)
	}
	return out
}

// maxViolations is as many as anybody reads, and keeps a failure well within
// what Temporal takes.
const maxViolations = 50

func inputError(violations []Violation) error {
	if len(violations) == 0 {
		return nil
	}
	if more := len(violations) - maxViolations; more > 0 {
		violations = append(violations[:maxViolations], Violation{"input", fmt.Sprintf("has %d more mistakes", more)})
	}
	return &InputError{Violations: violations}
}

// short is s as far as anybody reads it.
func short(s string) string {
	const most = 100
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// decoder fills a struct from JSON, value by value, so that everything that does
// not fit is named and not just the first.
type decoder struct {
	wrong []Violation
	lost  []string // fields that do not have the value they were given
}

// decode reads one JSON object.
func decode(data []byte, into any) (d decoder) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil || object == nil {
		d.wrong = []Violation{{Field: "input", Problem: "must be one JSON object"}}
		return d
	}
	d.object("", object, reflect.ValueOf(into).Elem())
	return d
}

// and adds what is wrong with the values, but for the fields that lost theirs.
func (d decoder) and(wrong []Violation) []Violation {
	return append(d.wrong, slices.DeleteFunc(wrong, func(w Violation) bool {
		return slices.ContainsFunc(d.lost, func(field string) bool {
			return w.Field == field || strings.HasPrefix(w.Field, field+".")
		})
	})...)
}

// value decodes one value, whatever fields or items it has.
func (d *decoder) value(field string, data json.RawMessage, into reflect.Value) {
	var err error
	switch kind := into.Kind(); {
	case string(data) == "null" && (kind == reflect.Pointer || kind == reflect.Slice):
		into.SetZero()
	case kind == reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		d.value(field, data, into.Elem())
	case kind == reflect.Struct:
		var object map[string]json.RawMessage
		if err = json.Unmarshal(data, &object); err == nil {
			d.object(field+".", object, into)
		}
	case kind == reflect.Slice:
		var items []json.RawMessage
		if err = json.Unmarshal(data, &items); err == nil {
			into.Set(reflect.MakeSlice(into.Type(), len(items), len(items)))
		}
		for i, item := range items {
			d.value(fmt.Sprintf("%s[%d]", field, i), item, into.Index(i))
		}
	default:
		err = json.Unmarshal(data, into.Addr().Interface())
	}
	if err != nil {
		problem := "cannot be read"
		var mismatch *json.UnmarshalTypeError
		if errors.As(err, &mismatch) {
			problem = fmt.Sprintf("must be %s, got a JSON %s", jsonKind(mismatch.Type.Kind()), mismatch.Value)
		}
		d.lost = append(d.lost, field)
		d.wrong = append(d.wrong, Violation{field, problem})
	}
}

// object decodes each field into the one of the struct that has its name. A
// field that the struct has not is refused: a mistyped name that is silently
// ignored would make a cluster that nobody asked for.
func (d *decoder) object(prefix string, object map[string]json.RawMessage, into reflect.Value) {
	//workflowcheck:ignore the keys are sorted
	for _, name := range slices.Sorted(maps.Keys(object)) {
		known := false
		for i := range into.NumField() {
			field, _, _ := strings.Cut(into.Type().Field(i).Tag.Get("json"), ",")
			if strings.EqualFold(field, name) { // as encoding/json has it
				known = true
				d.value(prefix+field, object[name], into.Field(i))
			}
		}
		if !known {
			if quoted := strconv.Quote(name); name == "" || quoted != `"`+name+`"` { // a line break, say
				name = quoted
			}
			d.wrong = append(d.wrong, Violation{prefix + short(name), "is not a known field"})
		}
	}
}

func jsonKind(kind reflect.Kind) string {
	switch kind {
	case reflect.Map: // what an object is read into at first
		return "an object"
	case reflect.Slice:
		return "an array"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	default:
		return "a " + kind.String()
	}
}
