package codec

import (
	"context"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
)

// Configure makes a Temporal client, and every worker of that client, use the
// codec, for payloads and for the details of failures alike.
func (c Codec) Configure(o *client.Options) {
	o.DataConverter = c.DataConverter()
	o.FailureConverter = temporal.NewDefaultFailureConverter(temporal.DefaultFailureConverterOptions{DataConverter: o.DataConverter})
}

// DataConverter is Temporal's default data converter with the codec around it.
func (c Codec) DataConverter() converter.DataConverter {
	return dataConverter{around(c), c}
}

func around(c converter.PayloadCodec) converter.DataConverter {
	return converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), c)
}

type dataConverter struct {
	converter.DataConverter
	codec Codec
}

// WithWorkflowContext makes the converter that workflow code gets.
func (d dataConverter) WithWorkflowContext(converter.WorkflowContext) converter.DataConverter {
	return around(blocking{d.codec})
}

// WithContext makes the converter that everything else gets.
func (d dataConverter) WithContext(context.Context) converter.DataConverter { return d }

// blocking is a codec for workflow code. A payload that this worker cannot
// decrypt is no failure of the run, as an error would have it: a panic fails
// the workflow task only, which is tried again until a worker has the key.
type blocking struct{ Codec }

func (b blocking) Decode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	out, err := b.Codec.Decode(payloads)
	if err != nil {
		panic(err)
	}
	return out, nil
}
