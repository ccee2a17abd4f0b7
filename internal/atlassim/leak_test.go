package atlassim_test

import (
	"testing"

	"go.uber.org/goleak"
)

// No goroutine, timer or connection is left when the tests are done.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
