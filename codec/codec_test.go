package codec_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/proto"

	"github.com/atlas-provisioner/atlas-provisioner/codec"
)

// key is a test key, whose bytes are all the first byte of its id.
func key(id string) codec.Key {
	return codec.Key{ID: id, Secret: [32]byte(bytes.Repeat([]byte(id[:1]), 32))}
}

func codecWith(t testing.TB, ids ...string) codec.Codec {
	t.Helper()
	var keys []codec.Key
	for _, id := range ids {
		keys = append(keys, key(id))
	}
	c, err := codec.New(keys...)
	require.NoError(t, err)
	return c
}

func plain(text string) *commonpb.Payload {
	return &commonpb.Payload{Metadata: map[string][]byte{"encoding": []byte("json/plain"), "more": []byte("kept")},
		Data: []byte(text)}
}

func encode(t testing.TB, c codec.Codec, payloads ...*commonpb.Payload) []*commonpb.Payload {
	t.Helper()
	out, err := c.Encode(payloads)
	require.NoError(t, err)
	require.Len(t, out, len(payloads))
	return out
}

func requireEqual(t testing.TB, want, got []*commonpb.Payload) {
	t.Helper()
	require.Len(t, got, len(want))
	for i := range want {
		require.True(t, proto.Equal(want[i], got[i]), "%v is not %v", got[i], want[i])
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	c := codecWith(t, "one", "two")
	in := []*commonpb.Payload{plain(`{"name":"orders"}`), plain(""), {}, plain(strings.Repeat("x", 2<<20))}
	before := proto.Clone(in[0])
	sealed := encode(t, c, in...)
	for i, p := range sealed {
		require.Equal(t,
			map[string][]byte{"encoding": []byte("binary/encrypted"), "encryption-key-id": []byte("one")},
			p.GetMetadata(), "the first key encrypts")
		require.False(t, bytes.Contains(p.GetData(), []byte("orders")))
		require.NotEqual(t, p.GetData(), encode(t, c, in[i])[0].GetData(), "each has a nonce of its own")
	}
	back, err := c.Decode(sealed)
	require.NoError(t, err)
	requireEqual(t, in, back)
	require.True(t, proto.Equal(before, in[0]), "the codec leaves what it is given alone")
}

// A payload has the form of Temporal's samples: the nonce, then the marshalled payload encrypted with AES-256-GCM,
// without additional data.
func TestForm(t *testing.T) {
	t.Parallel()
	secret := key("one").Secret
	block, err := aes.NewCipher(secret[:])
	require.NoError(t, err)
	gcm, err := cipher.NewGCM(block)
	require.NoError(t, err)
	marshalled, err := proto.Marshal(plain("theirs"))
	require.NoError(t, err)
	nonce := []byte("twelve bytes")
	theirs := &commonpb.Payload{
		Metadata: map[string][]byte{"encoding": []byte("binary/encrypted"), "encryption-key-id": []byte("one")},
		Data:     gcm.Seal(nonce, nonce, marshalled, nil),
	}
	got, err := codecWith(t, "one").Decode([]*commonpb.Payload{theirs})
	require.NoError(t, err)
	requireEqual(t, []*commonpb.Payload{plain("theirs")}, got)

	ours := encode(t, codecWith(t, "one"), plain("ours"))[0].GetData()
	opened, err := gcm.Open(nil, ours[:12], ours[12:], nil)
	require.NoError(t, err)
	p := &commonpb.Payload{}
	require.NoError(t, proto.Unmarshal(opened, p))
	requireEqual(t, []*commonpb.Payload{plain("ours")}, []*commonpb.Payload{p})
}

// To rotate keys, the new key is added as the second one everywhere, then moved to the front, and then the old key is
// dropped. At each step every program can read every payload.
func TestRotation(t *testing.T) {
	t.Parallel()
	steps := []codec.Codec{codecWith(t, "old"), codecWith(t, "old", "new"), codecWith(t, "new", "old")}
	for i, from := range steps {
		for j, to := range steps {
			back, err := to.Decode(encode(t, from, plain("x")))
			if i == 2 && j == 0 { // the second step is for this
				require.EqualError(t, err,
					`a payload is encrypted with the key "new", which is not configured: add it to `+
						`TEMPORAL_PAYLOAD_KEYS or the file that TEMPORAL_PAYLOAD_KEYS_FILE names`)
				continue
			}
			require.NoError(t, err)
			requireEqual(t, []*commonpb.Payload{plain("x")}, back)
		}
	}
	require.Equal(t, []byte("new"), encode(t, steps[2], plain("x"))[0].GetMetadata()["encryption-key-id"])
	back, err := codecWith(t, "new").Decode(encode(t, steps[2], plain("x")))
	require.NoError(t, err)
	requireEqual(t, []*commonpb.Payload{plain("x")}, back)
}

// A payload that is not encrypted is decoded as it is, and a codec without keys encrypts nothing.
func TestPassThrough(t *testing.T) {
	t.Parallel()
	in := []*commonpb.Payload{plain("x"), {Metadata: map[string][]byte{"encoding": []byte("binary/null")}},
		{Data: []byte("bare")}}
	for _, c := range []codec.Codec{{}, codecWith(t), codecWith(t, "one")} {
		out, err := c.Decode(in)
		require.NoError(t, err)
		requireEqual(t, in, out)
	}
	for _, c := range []codec.Codec{{}, codecWith(t)} {
		require.False(t, c.Encrypts())
		requireEqual(t, in, encode(t, c, in...))
	}
	require.True(t, codecWith(t, "one").Encrypts())
	mixed := []*commonpb.Payload{encode(t, codecWith(t, "one"), plain("a"))[0], plain("b")}
	out, err := codecWith(t, "one").Decode(mixed)
	require.NoError(t, err)
	requireEqual(t, []*commonpb.Payload{plain("a"), plain("b")}, out)
}

func TestDecodeErrors(t *testing.T) {
	t.Parallel()
	const (
		unknown = ", which is not configured: add it to TEMPORAL_PAYLOAD_KEYS or the file that " +
			"TEMPORAL_PAYLOAD_KEYS_FILE names"
		changed = ", and cannot be decrypted: it was changed since, or the key of that id is another one here"
	)
	changedTo := func(change func(*commonpb.Payload)) *commonpb.Payload {
		p := encode(t, codecWith(t, "one"), plain("x"))[0]
		change(p)
		return p
	}
	impostor, err := codec.New(codec.Key{ID: "one", Secret: key("two").Secret})
	require.NoError(t, err)
	sealed := codecWith(t, "one")
	secret := key("one").Secret
	block, err := aes.NewCipher(secret[:])
	require.NoError(t, err)
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	require.NoError(t, err)
	for _, test := range []struct {
		name string
		p    *commonpb.Payload
		want string
	}{
		{"no such key", encode(t, codecWith(t, "three"), plain("x"))[0], `"three"` + unknown},
		{"no key id", changedTo(func(p *commonpb.Payload) { delete(p.Metadata, "encryption-key-id") }), `""` + unknown},
		{"another key id", changedTo(func(p *commonpb.Payload) { p.Metadata["encryption-key-id"] = []byte("two") }),
			`"two"` + changed},
		{"first byte", changedTo(func(p *commonpb.Payload) { p.Data[0] ^= 1 }), `"one"` + changed},
		{"last byte", changedTo(func(p *commonpb.Payload) { p.Data[len(p.Data)-1] ^= 1 }), `"one"` + changed},
		{"cut", changedTo(func(p *commonpb.Payload) { p.Data = p.Data[:len(p.Data)-1] }), `"one"` + changed},
		{"shorter than a nonce", changedTo(func(p *commonpb.Payload) { p.Data = p.Data[:11] }), `"one"` + changed},
		{"empty", changedTo(func(p *commonpb.Payload) { p.Data = nil }), `"one"` + changed},
		{"the key of that id is another", encode(t, impostor, plain("x"))[0], `"one"` + changed},
		{"no payload", changedTo(func(p *commonpb.Payload) { p.Data = gcm.Seal(nil, nil, []byte("\xff"), nil) }),
			`"one", and holds no payload of Temporal's`},
	} {
		_, err := codecWith(t, "one", "two").Decode([]*commonpb.Payload{encode(t, sealed, plain("fine"))[0], test.p})
		require.EqualError(t, err, "a payload is encrypted with the key "+test.want, test.name)
		var decode *codec.DecodeError
		require.ErrorAs(t, err, &decode)
		require.Equal(t, string(test.p.GetMetadata()["encryption-key-id"]), decode.KeyID)
	}
	_, err = codec.Codec{}.Decode(encode(t, sealed, plain("x")))
	require.EqualError(t, err, `a payload is encrypted with the key "one"`+unknown)
	_, err = codec.New(key("one"), key("one"))
	require.EqualError(t, err, `two payload keys have the id "one"`)
}

// The details of a failure are encrypted; its type and message are not.
func TestConfigure(t *testing.T) {
	t.Parallel()
	var o client.Options
	codecWith(t, "one").Configure(&o)
	p, err := o.DataConverter.ToPayload("hush")
	require.NoError(t, err)
	require.Equal(t, []byte("binary/encrypted"), p.GetMetadata()["encoding"])
	var back string
	require.NoError(t, o.DataConverter.FromPayload(p, &back))
	require.Equal(t, "hush", back)
	var raw converter.RawValue
	require.NoError(t, o.DataConverter.FromPayload(p, &raw))
	require.Equal(t, `"hush"`, string(raw.Payload().GetData()), "a workflow that takes its input raw sees it decrypted")

	f := o.FailureConverter.ErrorToFailure(temporal.NewApplicationError("what happened", "TYPE", "hush"))
	require.Equal(t, "what happened", f.GetMessage())
	require.Equal(t, []byte("binary/encrypted"),
		f.GetApplicationFailureInfo().GetDetails().GetPayloads()[0].GetMetadata()["encoding"])
	var app *temporal.ApplicationError
	require.ErrorAs(t, o.FailureConverter.FailureToError(f), &app)
	var details string
	require.NoError(t, app.Details(&details))
	require.Equal(t, "hush", details)
}

// Decode returns what was encrypted, or a DecodeError, whatever the payload holds.
func FuzzDecode(f *testing.F) {
	c := codecWith(f, "one", "two")
	for _, p := range encode(f, c, plain(`{"name":"orders"}`), plain("")) {
		f.Add("binary/encrypted", "one", p.GetData())
		f.Add("binary/encrypted", "two", p.GetData())
		f.Add("binary/encrypted", "one", p.GetData()[:12])
	}
	f.Add("json/plain", "one", []byte("{}"))
	f.Add("", "", []byte(nil))
	f.Add("binary/encrypted", "", []byte("0123456789ab0123456789abcdef"))
	f.Fuzz(func(t *testing.T, encoding, id string, data []byte) {
		p := &commonpb.Payload{Metadata: map[string][]byte{"encoding": []byte(encoding),
			"encryption-key-id": []byte(id)}, Data: data}
		out, err := c.Decode([]*commonpb.Payload{p})
		if err != nil {
			var decode *codec.DecodeError
			require.ErrorAs(t, err, &decode)
			require.Equal(t, "binary/encrypted", encoding)
			return
		}
		if encoding != "binary/encrypted" {
			requireEqual(t, []*commonpb.Payload{p}, out)
			return
		}
		require.Equal(t, "one", id, "none but the seeds can have been made")
		// It can be encrypted and decrypted again.
		back, err := c.Decode(encode(t, c, out...))
		require.NoError(t, err)
		requireEqual(t, out, back)
	})
}
