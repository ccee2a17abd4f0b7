package codec_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"

	"github.com/atlas-provisioner/atlas-provisioner/codec"
)

// entry is a key in the form of the environment variable.
func entry(id string) string {
	k := key(id)
	return id + ":" + base64.StdEncoding.EncodeToString(k.Secret[:])
}

func lookup(variables map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := variables[name]
		return v, ok
	}
}

func TestFromEnv(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keys")
	require.NoError(t,
		os.WriteFile(file, []byte("# the newest first\r\n\n  "+entry("two")+" \r\n"+entry("one")), 0o600))
	for _, test := range []struct {
		name  string
		env   map[string]string
		first string
		reads []string
	}{
		{"nothing", nil, "", nil},
		{"empty", map[string]string{"TEMPORAL_PAYLOAD_KEYS": "", "TEMPORAL_PAYLOAD_KEYS_FILE": ""}, "", nil},
		{"one", map[string]string{"TEMPORAL_PAYLOAD_KEYS": entry("one")}, "one", []string{"one"}},
		{"two", map[string]string{"TEMPORAL_PAYLOAD_KEYS": entry("one") + ", " + entry("two") + ","}, "one",
			[]string{"one", "two"}},
		{"file", map[string]string{"TEMPORAL_PAYLOAD_KEYS_FILE": file}, "two", []string{"one", "two"}},
	} {
		c, err := codec.FromEnv(lookup(test.env))
		require.NoError(t, err, test.name)
		require.Equal(t, test.first != "", c.Encrypts(), test.name)
		if test.first != "" {
			require.Equal(t, test.first, string(encode(t, c, plain("x"))[0].GetMetadata()["encryption-key-id"]),
				test.name)
		}
		for _, id := range test.reads {
			back, err := c.Decode(encode(t, codecWith(t, id), plain("x")))
			require.NoError(t, err, test.name)
			requireEqual(t, []*commonpb.Payload{plain("x")}, back)
		}
	}
}

// The error names the place of every mistake, and never shows what may be a key.
func TestFromEnvMistakes(t *testing.T) {
	t.Parallel()
	const (
		form = "must be ID:KEY, with an id of 64 letters, digits, dots, hyphens and underscores at most"
		size = "must have a key of 32 bytes in base64, as 'openssl rand -base64 32' makes it"
	)
	folder := t.TempDir()
	file := filepath.Join(folder, "keys")
	hush := strings.TrimPrefix(entry("hush"), "hush:")
	require.NoError(t, os.WriteFile(file, []byte("# keys\n"+entry("one")+"\n\n"+hush+"\n"+entry("one")+"\n"), 0o600))
	empty := filepath.Join(folder, "empty")
	require.NoError(t, os.WriteFile(empty, []byte("# none yet\n"), 0o600))
	keys := func(v string) map[string]string { return map[string]string{"TEMPORAL_PAYLOAD_KEYS": v} }
	from := func(path string) map[string]string { return map[string]string{"TEMPORAL_PAYLOAD_KEYS_FILE": path} }
	for _, test := range []struct {
		name string
		env  map[string]string
		want []string
	}{
		{"both", map[string]string{"TEMPORAL_PAYLOAD_KEYS": hush, "TEMPORAL_PAYLOAD_KEYS_FILE": file},
			[]string{"TEMPORAL_PAYLOAD_KEYS and TEMPORAL_PAYLOAD_KEYS_FILE are both set: keep one"}},
		{"no id", keys(hush), []string{"TEMPORAL_PAYLOAD_KEYS entry 1 " + form}},
		{"an empty id", keys(":" + hush), []string{"TEMPORAL_PAYLOAD_KEYS entry 1 " + form}},
		{"the wrong way round", keys(hush + ":one"), []string{"TEMPORAL_PAYLOAD_KEYS entry 1 " + form}},
		{"a long id", keys(strings.Repeat("i", 65) + ":" + hush), []string{"TEMPORAL_PAYLOAD_KEYS entry 1 " + form}},
		{"no key", keys("one"), []string{"TEMPORAL_PAYLOAD_KEYS entry 1 " + size}},
		{"a short key", keys("one:" + base64.StdEncoding.EncodeToString([]byte("hush"))),
			[]string{"TEMPORAL_PAYLOAD_KEYS entry 1 " + size}},
		{"not base64", keys("one:hush-hush-hush-hush-hush-hush-h"), []string{"TEMPORAL_PAYLOAD_KEYS entry 1 " + size}},
		{"several", keys(entry("one") + "," + hush + ",two:hush," + entry("one")), []string{
			"TEMPORAL_PAYLOAD_KEYS entry 2 " + form, "TEMPORAL_PAYLOAD_KEYS entry 3 " + size,
			"TEMPORAL_PAYLOAD_KEYS entry 4 has the id of entry 1"}},
		{"commas only", keys(" ,,"), []string{"TEMPORAL_PAYLOAD_KEYS holds no key"}},
		{"a file with mistakes", from(file),
			[]string{"TEMPORAL_PAYLOAD_KEYS_FILE line 4 " + form,
				"TEMPORAL_PAYLOAD_KEYS_FILE line 5 has the id of line 2"}},
		{"an empty file", from(empty), []string{"TEMPORAL_PAYLOAD_KEYS_FILE holds no key"}},
		{"no file", from(folder + "/none"),
			[]string{"TEMPORAL_PAYLOAD_KEYS_FILE cannot be read: open " + folder + "/none: no such file or directory"}},
	} {
		c, err := codec.FromEnv(lookup(test.env))
		require.EqualError(t, err, strings.Join(test.want, "\n"), test.name)
		require.False(t, c.Encrypts(), test.name)
		require.NotContains(t, err.Error(), hush[:20], test.name)
		require.NotContains(t, err.Error(), "hush", test.name)
	}
}
