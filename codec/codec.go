// Package codec encrypts what Temporal stores of a run: its input and result,
// what its activities take, answer and report, the details of its failures, and
// the summaries that the Web UI shows. Workflow ids, types, search attributes
// and the messages of failures stay readable.
//
// A payload is encrypted whole with AES-256-GCM under a random nonce of its own
// and carries the id of its key, in the form of Temporal's own samples, so that
// services in other languages can use those with the same key. The samples bind
// no additional data, so neither does this: another key id or a changed byte
// fails all the same. One key is good for 2³² payloads.
//
// A payload that is not encrypted is read as it is, so that a run that began
// before goes on. Whoever can write to Temporal's database could put one there:
// this keeps secrets, it does not prove who wrote them.
package codec

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"
)

// The metadata of an encrypted payload.
const (
	// Encoding is the value of "encoding".
	Encoding = "binary/encrypted"
	// MetadataKeyID names the key, by its id.
	MetadataKeyID = "encryption-key-id"
)

// KeySize is the length of a key in bytes.
const KeySize = 32

// Key is a key of AES-256.
type Key struct {
	// ID goes with each payload, in the clear.
	ID     string
	Secret [KeySize]byte
}

// Codec encrypts with its first key and decrypts with each of its keys. The
// zero Codec encrypts nothing, and refuses to decrypt with a [*DecodeError] that
// names the key that it would need. It is a [converter.PayloadCodec], safe for
// concurrent use.
type Codec struct {
	first string
	keys  map[string]cipher.AEAD
}

var _ converter.PayloadCodec = Codec{}

// New makes a codec of keys, whose ids differ.
func New(keys ...Key) (Codec, error) {
	c := Codec{keys: map[string]cipher.AEAD{}}
	for i, key := range keys {
		if _, twice := c.keys[key.ID]; twice {
			return Codec{}, fmt.Errorf("two payload keys have the id %q", key.ID)
		}
		block, err := aes.NewCipher(key.Secret[:])
		if err != nil {
			return Codec{}, err
		}
		if c.keys[key.ID], err = cipher.NewGCMWithRandomNonce(block); err != nil {
			return Codec{}, err
		}
		if i == 0 {
			c.first = key.ID
		}
	}
	return c, nil
}

// Encrypts tells whether the codec has a key.
func (c Codec) Encrypts() bool { return len(c.keys) > 0 }

// Encode encrypts payloads.
func (c Codec) Encode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	if !c.Encrypts() {
		return payloads, nil
	}
	out := make([]*commonpb.Payload, len(payloads))
	for i, p := range payloads {
		plain, err := proto.Marshal(p)
		if err != nil {
			return nil, fmt.Errorf("a payload cannot be encrypted: %w", err)
		}
		out[i] = &commonpb.Payload{
			Metadata: map[string][]byte{converter.MetadataEncoding: []byte(Encoding), MetadataKeyID: []byte(c.first)},
			Data:     c.keys[c.first].Seal(nil, nil, plain, nil),
		}
	}
	return out, nil
}

// Decode decrypts those payloads that are encrypted. It fails with a
// [*DecodeError].
func (c Codec) Decode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	out := make([]*commonpb.Payload, len(payloads))
	for i, p := range payloads {
		if string(p.GetMetadata()[converter.MetadataEncoding]) != Encoding {
			out[i] = p
			continue
		}
		id := string(p.GetMetadata()[MetadataKeyID])
		key, ok := c.keys[id]
		if !ok {
			return nil, &DecodeError{KeyID: id, problem: "which is not configured: add it to " + EnvKeys + " or the file that " + EnvKeysFile + " names"}
		}
		plain, err := key.Open(nil, nil, p.GetData(), nil)
		if err != nil {
			return nil, &DecodeError{KeyID: id, problem: "and cannot be decrypted: it was changed since, or the key of that id is another one here"}
		}
		out[i] = &commonpb.Payload{}
		if err := proto.Unmarshal(plain, out[i]); err != nil {
			return nil, &DecodeError{KeyID: id, problem: "and holds no payload of Temporal's"}
		}
	}
	return out, nil
}

// DecodeError says why a payload cannot be decrypted.
type DecodeError struct {
	// KeyID is the key that the payload names.
	KeyID   string
	problem string
}

// Error says what to do next. It holds neither key nor content.
func (e *DecodeError) Error() string {
	return fmt.Sprintf("a payload is encrypted with the key %q, %s", e.KeyID, e.problem)
}
