package codec_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/client"

	"github.com/atlas-provisioner/atlas-provisioner/codec"
)

// A service that starts workflows, or reads their results, encrypts with the keys of its environment.
func ExampleFromEnv() {
	environment := map[string]string{ // a service passes os.LookupEnv
		codec.EnvKeys: "2026-11:" + base64.StdEncoding.EncodeToString(make([]byte, codec.KeySize)),
	}
	c, err := codec.FromEnv(func(name string) (string, bool) {
		value, ok := environment[name]
		return value, ok
	})
	if err != nil {
		log.Fatal(err)
	}
	var options client.Options // for client.Dial
	c.Configure(&options)
	payload, err := options.DataConverter.ToPayload("mongodb+srv://orders.example")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s with the key %s\n", payload.Metadata["encoding"], payload.Metadata[codec.MetadataKeyID])
	var text string
	if err := options.DataConverter.FromPayload(payload, &text); err != nil {
		log.Fatal(err)
	}
	fmt.Println(text)

	// Output:
	// binary/encrypted with the key 2026-11
	// mongodb+srv://orders.example
}

// While keys are rotated, a program has both: the first encrypts, each decrypts.
func ExampleNew() {
	before := codec.Key{ID: "2026-10", Secret: [codec.KeySize]byte{1}}
	after := codec.Key{ID: "2026-11", Secret: [codec.KeySize]byte{2}}
	earlier, err := codec.New(before)
	if err != nil {
		log.Fatal(err)
	}
	stored, err := earlier.Encode([]*commonpb.Payload{{Data: []byte("orders")}})
	if err != nil {
		log.Fatal(err)
	}

	both, err := codec.New(after, before)
	if err != nil {
		log.Fatal(err)
	}
	plain, err := both.Decode(stored)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(plain[0].Data))

	tooEarly, err := codec.New(after)
	if err != nil {
		log.Fatal(err)
	}
	_, err = tooEarly.Decode(stored)
	var missing *codec.DecodeError
	fmt.Println(errors.As(err, &missing), missing.KeyID)

	// Output:
	// orders
	// true 2026-10
}
