// Package codec encrypts what Temporal stores of a run: its input and result, the inputs, results and heartbeats of
// its activities, the details of its failures, and the summaries that the Web UI shows. Workflow ids, types, search
// attributes and the messages of failures stay readable.
//
// Each payload is encrypted with AES-256-GCM and a random nonce, and carries the id of its key. The form is that of
// Temporal's samples, so that services in other languages can use the samples with the same key. The samples
// authenticate no additional data, and neither does this package: a payload with a changed key id or a changed byte
// cannot be decrypted all the same. One key is good for 2³² payloads.
//
// A payload that is not encrypted is read as it is, so that runs that started before encryption was turned on go on.
// So the codec keeps payloads secret, but does not prove who wrote them.
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

// Key is an AES-256 key.
type Key struct {
	// ID is stored with each payload, unencrypted.
	ID     string
	Secret [KeySize]byte
}

// Codec encrypts with its first key and decrypts with each of its keys. The zero Codec encrypts nothing; where it meets
// an encrypted payload it fails with a [*DecodeError] that names the missing key. It is a [converter.PayloadCodec],
// safe for concurrent use.
type Codec struct {
	first string // the id of the key that encrypts
	keys  map[string]cipher.AEAD
}

var _ converter.PayloadCodec = Codec{}

// New makes a codec with these keys. Two keys of one id are an error.
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

// Encrypts tells whether the codec has a key to encrypt with.
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

// Decode decrypts the payloads that are encrypted and returns the others as they are. Its error is a [*DecodeError].
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
			return nil, &DecodeError{KeyID: id, problem: "which is not configured: add it to " + EnvKeys +
				" or the file that " + EnvKeysFile + " names"}
		}
		plain, err := key.Open(nil, nil, p.GetData(), nil)
		if err != nil {
			return nil, &DecodeError{KeyID: id, problem: "and cannot be decrypted: it was changed since, " +
				"or the key of that id is another one here"}
		}
		out[i] = &commonpb.Payload{}
		if err := proto.Unmarshal(plain, out[i]); err != nil {
			return nil, &DecodeError{KeyID: id, problem: "and holds no payload of Temporal's"}
		}
	}
	return out, nil
}

// DecodeError tells why a payload cannot be decrypted.
type DecodeError struct {
	// KeyID is the id of the key that the payload was encrypted with.
	KeyID   string
	problem string
}

// Error tells what to do next. It holds neither the key nor the payload.
func (e *DecodeError) Error() string {
	return fmt.Sprintf("a payload is encrypted with the key %q, %s", e.KeyID, e.problem)
}
