package codec

import (
	"context"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
)

// Configure makes a Temporal client, and every worker of that client, use the codec for payloads and for the details
// of failures.
func (c Codec) Configure(o *client.Options) {
	o.DataConverter = c.DataConverter()
	o.FailureConverter = temporal.NewDefaultFailureConverter(
		temporal.DefaultFailureConverterOptions{DataConverter: o.DataConverter})
}

// DataConverter is Temporal's default data converter, followed by the codec.
func (c Codec) DataConverter() converter.DataConverter {
	return dataConverter{DataConverter: withCodec(c), codec: c}
}

func withCodec(c converter.PayloadCodec) converter.DataConverter {
	return converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), c)
}

// dataConverter uses the codec, and in workflow code the one that [workflowCodec] describes.
type dataConverter struct {
	converter.DataConverter
	codec Codec
}

// WithWorkflowContext returns the converter for workflow code.
func (d dataConverter) WithWorkflowContext(converter.WorkflowContext) converter.DataConverter {
	return withCodec(workflowCodec{d.codec})
}

// WithContext returns the converter for everything else.
func (d dataConverter) WithContext(context.Context) converter.DataConverter { return d }

// workflowCodec is the codec for workflow code. An error would fail the run where this worker lacks the key of a
// payload. A panic fails the workflow task only, which Temporal tries again until a worker has the key.
type workflowCodec struct{ codec Codec }

// Encode encrypts payloads.
func (c workflowCodec) Encode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	return c.codec.Encode(payloads)
}

// Decode decrypts payloads, or panics.
func (c workflowCodec) Decode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	out, err := c.codec.Decode(payloads)
	if err != nil {
		panic(err)
	}
	return out, nil
}
