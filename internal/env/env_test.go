package env_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/internal/env"
)

func TestGet(t *testing.T) {
	t.Parallel()
	e := env.Env{"A=1", "EMPTY=", "AB=2", "EQUALS=a=b=", "A=3", "NONE", "=C:=x"}
	for _, test := range []struct {
		name  string
		value string
		set   bool
		get   string // otherwise "else"
	}{
		{"A", "3", true, "3"}, // the last wins, as in a process
		{"AB", "2", true, "2"},
		{"EQUALS", "a=b=", true, "a=b="},
		{"EMPTY", "", true, "else"},
		{"B", "", false, "else"},
		{"a", "", false, "else"},
		{"NONE", "", false, "else"},
	} {
		value, set := e.LookupEnv(test.name)
		require.Equal(t, test.value, value, test.name)
		require.Equal(t, test.set, set, test.name)
		require.Equal(t, test.get, e.Get(test.name, "else"), test.name)
	}
	require.Equal(t, "else", env.Env(nil).Get("A", "else"))
}

func TestTaskQueue(t *testing.T) {
	t.Parallel()
	require.Equal(t, "atlas-provisioning", env.Env{}.TaskQueue())
	require.Equal(t, "atlas-provisioning", env.Env{"TEMPORAL_TASK_QUEUE="}.TaskQueue())
	require.Equal(t, "mine", env.Env{"TEMPORAL_TASK_QUEUE=mine"}.TaskQueue())
}
