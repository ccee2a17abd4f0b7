package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// decoder fills a struct from JSON, value by value, so that everything that does not fit is named and not just the
// first.
type decoder struct {
	violations []Violation
	// unread are the fields that do not have the value they were given.
	unread []string
}

// decode reads one JSON object.
func decode(data []byte, into reflect.Value) *decoder {
	d := &decoder{}
	members, err := readObject(data)
	if err != nil {
		d.violations = violation("input", "must be one JSON object")
		return d
	}
	d.object("", members, into)
	return d
}

// merge adds the violations of the rules, but for the fields that could not be read.
func (d *decoder) merge(rules []Violation) []Violation {
	return append(d.violations, slices.DeleteFunc(rules, func(v Violation) bool {
		return slices.ContainsFunc(d.unread, func(field string) bool {
			return v.Field == field || strings.HasPrefix(v.Field, field+".")
		})
	})...)
}

// member is a name of a JSON object and its value.
type member struct {
	name  string
	value json.RawMessage
}

var errNoObject = errors.New("not one JSON object")

// readObject reads the members of a JSON object as they stand, since a map would keep one of two with the same name.
func readObject(data []byte) ([]member, error) {
	if trimmed := bytes.TrimLeft(data, " \t\r\n"); !bytes.HasPrefix(trimmed, []byte("{")) || !json.Valid(data) {
		return nil, errNoObject
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	_, err := decoder.Token()
	var out []member
	for err == nil && decoder.More() {
		var m member
		var token json.Token
		if token, err = decoder.Token(); err == nil {
			m.name, _ = token.(string)
			err = decoder.Decode(&m.value)
		}
		out = append(out, m)
	}
	return out, err
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
		var members []member
		if members, err = readObject(data); err == nil {
			d.object(field+".", members, into)
		} else {
			var object map[string]json.RawMessage
			err = json.Unmarshal(data, &object) // says what the value is instead; null is as good as no fields
		}
	case kind == reflect.Slice:
		var items []json.RawMessage
		if err = json.Unmarshal(data, &items); err == nil {
			into.Set(reflect.MakeSlice(into.Type(), len(items), len(items)))
		}
		for i, item := range items {
			d.value(fmt.Sprintf("%s[%d]", field, i), item, into.Index(i))
		}
	case !utf8.Valid(data):
		err = errNotUTF8
	default:
		err = json.Unmarshal(data, into.Addr().Interface())
		if err == nil && into.Kind() == reflect.String && hasHalfCharacter(data, into.String()) {
			err = errNotUTF8
		}
	}
	if err != nil {
		d.unread = append(d.unread, field)
		d.violations = append(d.violations, Violation{field, problemOf(err)})
	}
}

// hasHalfCharacter reports whether a JSON string has an escape such as \ud83d, which is one half of a character. It is
// decoded as U+FFFD, without an error.
func hasHalfCharacter(data []byte, decoded string) bool {
	return strings.ContainsRune(decoded, utf8.RuneError) && !bytes.ContainsRune(data, utf8.RuneError) &&
		!bytes.Contains(bytes.ToLower(data), []byte(`\ufffd`))
}

var errNotUTF8 = errors.New("must be text in UTF-8")

func problemOf(err error) string {
	var mismatch *json.UnmarshalTypeError
	switch {
	case errors.Is(err, errNotUTF8):
		return errNotUTF8.Error()
	case errors.As(err, &mismatch):
		return fmt.Sprintf("must be %s, got a JSON %s", jsonKind(mismatch.Type.Kind()), mismatch.Value)
	}
	return "cannot be read"
}

// object decodes each member into the field of the struct that has its name, in any case of letters as encoding/json
// does. A name that the struct does not have is refused: a mistyped name that is silently ignored would make a cluster
// that nobody asked for. So is a name that is there twice, since nobody knows which is meant.
func (d *decoder) object(prefix string, members []member, into reflect.Value) {
	slices.SortStableFunc(members, func(a, b member) int { return strings.Compare(a.name, b.name) })
	seen := map[string]bool{}
	for _, m := range members {
		name, field, known := findField(into, m.name)
		switch {
		case !known:
			d.violations = append(d.violations, Violation{prefix + printable(m.name), "is not a known field"})
		case seen[name]:
			d.unread = append(d.unread, prefix+name)
			d.violations = append(d.violations, Violation{prefix + name, "is given twice"})
		default:
			seen[name] = true
			d.value(prefix+name, m.value, field)
		}
	}
}

func findField(in reflect.Value, name string) (string, reflect.Value, bool) {
	for i := range in.NumField() {
		field, _, _ := strings.Cut(in.Type().Field(i).Tag.Get("json"), ",")
		if strings.EqualFold(field, name) {
			return field, in.Field(i), true
		}
	}
	return "", reflect.Value{}, false
}

// printable quotes a name that does not stand in one line by itself.
func printable(name string) string {
	if quoted := strconv.Quote(name); name == "" || quoted != `"`+name+`"` {
		name = quoted
	}
	return shorten(name)
}

func jsonKind(kind reflect.Kind) string {
	switch kind {
	case reflect.Map: // what an object is read into
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
