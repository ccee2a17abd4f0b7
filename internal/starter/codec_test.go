package starter

import (
	"bytes"
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
)

// With the worker's keys every command reads what is encrypted; without them it
// says which key it lacks.
func TestEncrypted(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 100)
	s, letGo := setupHeld(t, func(stage atlassim.Stage, e atlassim.Entry) {
		if stage == atlassim.Applied && e.Effect == atlassim.Created {
			asked <- struct{}{}
		}
	})
	plain := s.env
	s.env = append(s.env, "TEMPORAL_PAYLOAD_KEYS=one:"+base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("1"), 32)))
	s.startWorker()
	watch := s.start(s.flags("provision-flex", "--wait")...)
	<-asked
	watch.sees("CREATING, Ns, attempt 1")
	require.Equal(t, 0, s.run(s.flags("provision-flex")...).code, "it is joined")
	out := s.run("status", s.clusterID(), "-o", "json")
	require.Contains(t, out.stdout, `"clusterState": "CREATING"`)

	const lacks = `a payload is encrypted with the key "one", which is not configured: add it to ` +
		`TEMPORAL_PAYLOAD_KEYS or the file that TEMPORAL_PAYLOAD_KEYS_FILE names`
	bare := *s
	bare.env = plain
	require.Equal(
		t,
		output{code: 2, stderr: "starter: " + lacks + "\n"},
		bare.run(s.flags("provision-flex")...),
		"what it would join cannot be read",
	)
	letGo()
	require.Equal(t, created, watch.end().stdout)
	require.Equal(t, output{stdout: created}, s.run("result", s.clusterID()))
	require.Equal(t, output{code: 2, stderr: "starter: " + lacks + "\n"}, bare.run("result", s.clusterID()))
}

// Keys that cannot be used are told before anything is dialled, and not shown.
func TestBadPayloadKeys(t *testing.T) {
	t.Parallel()
	require.Equal(
		t,
		output{
			code: 2,
			stderr: "starter: TEMPORAL_PAYLOAD_KEYS entry 1 must have a key of 32 bytes in base64, as 'openssl " +
				"rand -base64 32' makes it\n",
		},
		run(append(nowhere, "TEMPORAL_PAYLOAD_KEYS=hush"), "list"),
	)
}
