package contract

// CheckWorker is the workflow type by which `starter doctor` asks a worker how it stands. It is no operation: it is
// about no cluster, and changes nothing.
const CheckWorker = "CheckWorker"

// CheckWorkerInput is the input of [CheckWorker].
type CheckWorkerInput struct {
	// GroupID is the project that the worker reads with its Atlas credential; "" for none.
	GroupID string `json:"groupId,omitempty"`
}

// Validate fails with an [*InputError] where the project is none.
func (in CheckWorkerInput) Validate() error {
	if in.GroupID == "" {
		return nil
	}
	return inputError(checkProject(in.GroupID))
}

// WorkerReport is the result of [CheckWorker]. It holds nothing of a credential but its kind.
type WorkerReport struct {
	// Version is that of the worker's build, as `worker --version` prints it.
	Version string `json:"version"`
	// Identity is the worker as Temporal shows it.
	Identity string `json:"identity"`
	// AtlasHost is the host that the worker takes for Atlas.
	AtlasHost string `json:"atlasHost"`
	// Credential is the kind of the worker's Atlas credential: "service account", "API key" or "access token".
	Credential string `json:"credential"`
	// Atlas is what Atlas said to the credential.
	Atlas AtlasReport `json:"atlas"`
	// ClockAheadOfTemporal is how far the worker's clock is ahead of the Temporal server's, in seconds.
	ClockAheadOfTemporal float64 `json:"clockAheadOfTemporal"`
}

// AtlasReport is what Atlas said to the credential of a worker.
type AtlasReport struct {
	// Asked says that Atlas was asked for something: to read the project, or without one for the token of a service
	// account. The other kinds of credential can be tried with a project only.
	Asked bool `json:"asked"`
	// Problem says what Atlas answered instead; "" where it did as asked.
	Problem string `json:"problem,omitempty"`
	// Next is what to do about the problem.
	Next string `json:"next,omitempty"`
	// ClockAhead is how far the worker's clock is ahead of Atlas's, in seconds; nil where that is not known.
	ClockAhead *float64 `json:"clockAhead,omitempty"`
}
