// Package env reads the environment variables of the worker and the starter. Both pass the environment as a value, so
// that tests need not change the process's own. A variable that is set to nothing counts as not set.
package env

import (
	"strings"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// Env is an environment in the form of os.Environ. Of two settings of one name the last wins.
type Env []string

// LookupEnv is like os.LookupEnv.
func (e Env) LookupEnv(name string) (string, bool) {
	for i := len(e) - 1; i >= 0; i-- {
		if value, ok := strings.CutPrefix(e[i], name+"="); ok {
			return value, true
		}
	}
	return "", false
}

// Get returns the value of a variable, or the default where it is not set.
func (e Env) Get(name, defaultValue string) string {
	if v, _ := e.LookupEnv(name); v != "" {
		return v
	}
	return defaultValue
}

// TaskQueue is TEMPORAL_TASK_QUEUE, which [Env.TemporalOptions] checks. Default "atlas-provisioning".
func (e Env) TaskQueue() string { return e.Get("TEMPORAL_TASK_QUEUE", contract.TaskQueue) }
