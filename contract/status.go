package contract

import "time"

// Phase is how far a run is.
type Phase string

// The phases of a run, in order.
const (
	PhaseValidating Phase = "VALIDATING"
	PhaseCreating   Phase = "CREATING"
	PhaseUpdating   Phase = "UPDATING"
	PhaseUpgrading  Phase = "UPGRADING"
	PhaseDeleting   Phase = "DELETING"
	PhaseWaiting    Phase = "WAITING_UNTIL_IDLE"
	PhaseLeased     Phase = "LEASED"
	PhaseReleasing  Phase = "RELEASING"
	PhaseDone       Phase = "DONE"
	PhaseFailed     Phase = "FAILED"
)

// Status is the answer to the query [StatusQuery].
type Status struct {
	Phase Phase `json:"phase"`
	// StateName is the last state of the cluster that reached the workflow; "" before Atlas has answered. While the run
	// waits, the newest state is in the pending activity's heartbeat ([WaitProgress]).
	StateName string `json:"stateName,omitempty"`
	// Since is when the phase began.
	Since time.Time `json:"since"`
	// Deadline is when a lease ends; left out before the cluster is IDLE, after the lease has ended, and of other runs.
	Deadline time.Time `json:"deadline,omitzero"`
}

// WaitProgress is the heartbeat of the activities that wait ([WaitUntilIdleActivity], [WaitUntilAsAskedActivity],
// [DeleteClusterActivity]): what they last saw, for whoever watches and for the activity's next attempt.
type WaitProgress struct {
	// StateName is the last state seen, "" before Atlas has answered.
	StateName string `json:"stateName,omitempty"`
	// Since is when that state was first seen.
	Since time.Time `json:"since,omitzero"`
	// NotFoundSince is since when Atlas has answered that there is no such cluster; zero while there is one.
	NotFoundSince time.Time `json:"notFoundSince,omitzero"`
	// OldKind says that an upgraded cluster was seen last as what it was before.
	OldKind bool `json:"oldKind,omitempty"`
	// IdleSince is since when the cluster is IDLE but lacks a connection string; zero otherwise.
	IdleSince time.Time `json:"idleSince,omitzero"`
	// AskedAt is when Atlas was asked last, by a wait that asks for what it waits for; zero for never.
	AskedAt time.Time `json:"askedAt,omitzero"`
	// Refusals counts the looks in a row that were refused with a 401 or 403.
	Refusals int `json:"refusals,omitempty"`
	// Errors counts the looks in a row that failed.
	Errors int `json:"errors,omitempty"`
}
