package codec

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// The variables that [FromEnv] reads.
const (
	// EnvKeys holds keys as ID:BASE64, with commas between them.
	EnvKeys = "TEMPORAL_PAYLOAD_KEYS"
	// EnvKeysFile names a file that holds a key as ID:BASE64 on each line. Empty lines and lines that begin with # are
	// ignored.
	EnvKeysFile = "TEMPORAL_PAYLOAD_KEYS_FILE"
)

// FromEnv makes the codec that the environment describes; lookup is [os.LookupEnv] or a function like it. The first key
// encrypts; without a key nothing is encrypted. The file is read once, so a program must be restarted to rotate keys.
// The error has one line for each mistake, without the value.
func FromEnv(lookup func(string) (string, bool)) (Codec, error) {
	inline, _ := lookup(EnvKeys)
	file, _ := lookup(EnvKeysFile)
	switch {
	case inline != "" && file != "":
		return Codec{}, fmt.Errorf("%s and %s are both set: keep one", EnvKeys, EnvKeysFile)
	case inline != "":
		return parse(EnvKeys, "entry", strings.Split(inline, ","))
	case file != "":
		text, err := os.ReadFile(file)
		if err != nil {
			return Codec{}, fmt.Errorf("%s cannot be read: %w", EnvKeysFile, err)
		}
		return parse(EnvKeysFile, "line", strings.Split(string(text), "\n"))
	}
	return Codec{}, nil
}

// keyID matches the id of a key. It does not match a key, which ends with "=" in base64, so that a key that is written
// in the place of its id is never stored or logged.
var keyID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func parse(name, unit string, entries []string) (Codec, error) {
	var keys []Key
	var mistakes []error
	seen := map[string]int{} // the number of the entry that has an id
	for i, entry := range entries {
		entry = strings.TrimSpace(entry)
		if entry == "" || strings.HasPrefix(entry, "#") {
			continue
		}
		wrong := func(problem string) {
			mistakes = append(mistakes, fmt.Errorf("%s %s %d %s", name, unit, i+1, problem))
		}
		id, encoded, _ := strings.Cut(entry, ":")
		secret, err := base64.StdEncoding.DecodeString(encoded)
		switch {
		case !keyID.MatchString(id):
			wrong("must be ID:KEY, with an id of 64 letters, digits, dots, hyphens and underscores at most")
		case err != nil || len(secret) != KeySize:
			wrong("must have a key of 32 bytes in base64, as 'openssl rand -base64 32' makes it")
		case seen[id] != 0:
			wrong(fmt.Sprintf("has the id of %s %d", unit, seen[id]))
		default:
			seen[id] = i + 1
			keys = append(keys, Key{ID: id, Secret: [KeySize]byte(secret)})
		}
	}
	if len(mistakes) == 0 && len(keys) == 0 {
		mistakes = append(mistakes, fmt.Errorf("%s holds no key", name))
	}
	if len(mistakes) > 0 {
		return Codec{}, errors.Join(mistakes...)
	}
	return New(keys...)
}
