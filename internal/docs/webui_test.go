//go:build unix

package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The Web UI shows what became of a run that waits, one that failed, those that are done and a cluster that is deleted,
// without a payload being opened. tools/webui/look.mjs says what each page must show. With -pictures the test writes
// what the browser showed to docs.
func TestWebUI(t *testing.T) {
	t.Parallel()
	u.dependOnAllFiles(t)
	webui := filepath.Join(u.root, "tools", "webui")
	_, err := os.Stat(filepath.Join(webui, "node_modules"))
	require.NoError(t, err, "the browser's driver is missing: run make browser")

	const project = "5f2b9c1e7a3d48069be1c2d4" // no other test uses it, so the list shows these runs only
	begin := func(verb, name string, more ...string) *running {
		return u.begin(t, "bin/starter", append([]string{verb, "--project-id", project, "--name", name}, more...)...)
	}
	provision := func(name string, more ...string) *running {
		return begin("provision-flex", name, append([]string{"--provider", "AWS", "--region", "US_EAST_1"}, more...)...)
	}
	starting := provision("payments")
	u.holdState(t, project, "payments", "CREATING")
	started := starting.end()
	require.Zero(t, started.code, started)
	orders, invoices := provision("orders", "--wait"), provision("invoices", "--wait")
	for _, one := range []*running{orders, invoices} {
		done := one.end()
		require.Zero(t, done.code, done)
	}
	done := begin("update-flex", "invoices", "--tag", "team=billing", "--wait").end()
	require.Zero(t, done.code, done)
	done = begin("delete", "invoices", "--yes", "--wait").end()
	require.Zero(t, done.code, done)
	failed := func() result {
		u.faults.Lock()
		defer u.faults.Unlock()
		u.control(t, "faults", fmt.Sprintf(`[{"method": "POST", "path": "groups/%s/flexClusters", "kind": "status",
			"times": 1, "status": 402, "errorCode": "NO_PAYMENT_INFORMATION_FOUND", "reason": "Payment Required",
			"detail": "No payment information was found for group."}]`, project))
		return provision("billing", "--wait").end()
	}()
	require.Equal(t, 1, failed.code, failed)

	folder := t.ArtifactDir()
	if *pictures {
		folder = filepath.Join(u.root, "docs")
	}
	looked := u.run(t, "node", filepath.Join(webui, "look.mjs"), u.ui, project, folder)
	require.Zero(t, looked.code, "%s\nwhat the browser showed is in %s, which go test -artifacts keeps", looked, folder)
}
