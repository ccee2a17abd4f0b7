package activities

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/ratelimit"
)

// retryable is the one place that decides whether asking again can help: where there was no answer, or none that can be
// read, or one that passes by itself.
func retryable(e *atlasclient.Error) bool {
	return e.Err != nil || e.Transient || contract.Transient(e.Status, e.ErrorCode)
}

// failureType is the type of the Temporal failure.
func failureType(e *atlasclient.Error) string {
	switch {
	case e.Status == 0:
		return contract.AtlasUnreachable
	case e.Err != nil:
		return contract.AtlasBadResponse
	case e.ErrorCode != "":
		return e.ErrorCode
	}
	return "HTTP_" + strconv.Itoa(e.Status)
}

// failure turns what the client reports of a cluster into the failure of an activity, with the last state seen. delay
// is that of the next attempt, unless Atlas asks for a longer one.
func failure(cluster, state string, err error, delay time.Duration) error {
	var busy ratelimit.BusyError
	if errors.As(err, &busy) {
		return notYet(cluster, busy.Error(), state, busy.After)
	}
	var answer *atlasclient.Error
	switch {
	case !errors.As(err, &answer): // no error, or one that says what it means already
		return err
	case retryable(answer):
		return retryableFailure(cluster, state, answer, delay)
	}
	return atlasFailure(cluster, state, answer, advice(answer), temporal.ApplicationErrorOptions{NonRetryable: true})
}

// retryableFailure is tried again after the delay. Where Atlas names a longer time to wait, that becomes the delay, so
// that a Retry-After of 0 means soon, not at once and forever.
func retryableFailure(cluster, state string, answer *atlasclient.Error, delay time.Duration) error {
	next := "trying again"
	if answer.RetryAfter != nil && *answer.RetryAfter > delay {
		//mutate:retry-after
		delay = jittered(*answer.RetryAfter)
		next += fmt.Sprintf(" after %s, as Atlas asks", *answer.RetryAfter)
	}
	return atlasFailure(cluster, state, answer, next, temporal.ApplicationErrorOptions{NextRetryDelay: delay})
}

func atlasFailure(
	cluster, state string, answer *atlasclient.Error, next string, o temporal.ApplicationErrorOptions,
) error {
	o.Details = []any{contract.FailureDetails{
		Status: answer.Status, ErrorCode: answer.ErrorCode, Reason: answer.Reason, Detail: answer.Detail,
		Method: answer.Method, Path: answer.Path, Parameters: answer.Parameters, StateName: state,
	}}
	return temporal.NewApplicationErrorWithOptions(
		fmt.Sprintf("cluster %q: %s: %s", cluster, describeAnswer(answer), next), failureType(answer), o)
}

// describeAnswer says what came back.
func describeAnswer(e *atlasclient.Error) string {
	switch {
	case e.Status == 0:
		return fmt.Sprintf("no answer from Atlas to %s %s (%v)", e.Method, e.Path, e.Err)
	case e.Err != nil:
		return fmt.Sprintf("Atlas answered %s %s with %d, but %v", e.Method, e.Path, e.Status, e.Err)
	}
	s := "Atlas answered " + strconv.Itoa(e.Status)
	if e.ErrorCode != "" {
		s += " " + e.ErrorCode
	} else if text := http.StatusText(e.Status); text != "" {
		s += " " + text
	}
	if e.Detail != "" {
		s += " (" + e.Detail + ")"
	}
	return s
}

// jittered adds up to a tenth, and a second at most, so that those who were told the same do not come back as one.
func jittered(d time.Duration) time.Duration {
	return d + rand.N(min(d/10, time.Second)+time.Millisecond)
}

// backoff is the delay after so many failures in a row: a second at first, twice that each time, and the longest at
// last.
func backoff(failures int, longest time.Duration) time.Duration {
	return jittered(min(time.Second<<min(max(failures-1, 0), 10), longest))
}

// conflict is the failure for a cluster that is not ours or not as asked.
func conflict(cluster, message string, differences []contract.Difference) error {
	return final(cluster, message, contract.ClusterConflict, contract.FailureDetails{Differences: differences})
}

// protected is the failure for a cluster that is not deleted because its termination protection is on.
func protected(cluster, state string) error {
	return final(cluster, "its termination protection is on. It was left untouched: set removeTerminationProtection, "+
		"or turn it off"+again, contract.ClusterProtected, contract.FailureDetails{StateName: state})
}

// gone is the failure for a cluster that was to be changed, and is deleted.
func gone(cluster, message, state string) error {
	return final(cluster, message+": to make a new one, start the workflow "+contract.ProvisionFlexCluster,
		contract.ClusterGone, contract.FailureDetails{StateName: state})
}

// timedOut is the failure for a wait whose time is up.
func timedOut(cluster, message, state string) error {
	return final(cluster, message, contract.Timeout, contract.FailureDetails{StateName: state})
}

func final(cluster, message, failureType string, details contract.FailureDetails) error {
	return temporal.NewApplicationErrorWithOptions(fmt.Sprintf("cluster %q: %s", cluster, message), failureType,
		temporal.ApplicationErrorOptions{NonRetryable: true, Details: []any{details}})
}

// notYet ends an attempt without holding a slot: benign, and tried again after a delay.
func notYet(cluster, message, state string, delay time.Duration) error {
	return temporal.NewApplicationErrorWithOptions(fmt.Sprintf("cluster %q: %s", cluster, message),
		contract.NotYet, temporal.ApplicationErrorOptions{
			NextRetryDelay: max(delay, time.Millisecond), // 0 would mean the retry policy's
			Category:       temporal.ApplicationErrorCategoryBenign,
			Details:        []any{contract.WaitProgress{StateName: state}},
		})
}

// comesBackAfter is how long until Temporal brings an activity back that ended with err, 0 if it does not.
func comesBackAfter(err error) time.Duration {
	var app *temporal.ApplicationError
	if !errors.As(err, &app) || app.NonRetryable() {
		return 0
	}
	return max(app.NextRetryDelay(), time.Millisecond)
}
