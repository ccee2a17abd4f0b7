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
)

// retryable is the one place that decides whether asking again can help: where
// there was no answer, or none that can be read, or one that passes by itself.
func retryable(e *atlasclient.Error) bool {
	return e.Err != nil || contract.Transient(e.Status, e.ErrorCode)
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

// failure turns what the client reports of a cluster into the failure of an
// activity, with the last state seen. Where Atlas names a time to wait that is
// longer than otherwise, it becomes the delay of the next attempt, so that a
// Retry-After of 0 means soon, not at once and forever.
func failure(cluster, state string, err error, otherwise time.Duration) error {
	var busy errBusy
	if errors.As(err, &busy) {
		return notYet(cluster, busy.Error(), state, busy.after)
	}
	var e *atlasclient.Error
	if !errors.As(err, &e) {
		return err
	}
	options := temporal.ApplicationErrorOptions{NonRetryable: !retryable(e), Details: []any{details(e, state)}}
	next := advice(e)
	if retryable(e) {
		next = "trying again"
		options.NextRetryDelay = otherwise
		if e.RetryAfter != nil && *e.RetryAfter > otherwise {
			options.NextRetryDelay = later(*e.RetryAfter)
			next += fmt.Sprintf(" after %s, as Atlas asks", *e.RetryAfter)
		}
	}
	return temporal.NewApplicationErrorWithOptions(
		fmt.Sprintf("cluster %q: %s: %s", cluster, answer(e), next), failureType(e), options)
}

func details(e *atlasclient.Error, state string) contract.FailureDetails {
	return contract.FailureDetails{
		Status: e.Status, ErrorCode: e.ErrorCode, Reason: e.Reason, Detail: e.Detail,
		Method: e.Method, Path: e.Path, Parameters: e.Parameters, StateName: state,
	}
}

// answer says what came back.
func answer(e *atlasclient.Error) string {
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

// later adds up to a tenth, and a second at most, so that those who were told
// the same do not come back as one.
func later(d time.Duration) time.Duration {
	return d + rand.N(min(d/10, time.Second)+time.Millisecond)
}

// backoff is the delay after so many failures in a row: a second at first, twice
// that each time, and the longest at last.
func backoff(failures int, longest time.Duration) time.Duration {
	return later(min(time.Second<<min(failures-1, 10), longest))
}

// conflict is the failure for a cluster that is not ours or not as asked.
func conflict(cluster, message string, differences []contract.Difference) error {
	return temporal.NewApplicationErrorWithOptions(fmt.Sprintf("cluster %q: %s", cluster, message),
		contract.ClusterConflict, temporal.ApplicationErrorOptions{
			NonRetryable: true,
			Details:      []any{contract.FailureDetails{Differences: differences}},
		})
}

// gone is the failure for a cluster that is deleted while we wait.
func gone(cluster, message, state string) error {
	return temporal.NewApplicationErrorWithOptions(
		fmt.Sprintf("cluster %q: %s: start the workflow again to make a new one", cluster, message),
		contract.ClusterGone, temporal.ApplicationErrorOptions{
			NonRetryable: true,
			Details:      []any{contract.FailureDetails{StateName: state}},
		})
}

// notYet ends an attempt without holding a slot: benign, and tried again after
// a delay.
func notYet(cluster, message, state string, delay time.Duration) error {
	return temporal.NewApplicationErrorWithOptions(fmt.Sprintf("cluster %q: %s", cluster, message),
		contract.NotYet, temporal.ApplicationErrorOptions{
			NextRetryDelay: max(delay, time.Millisecond), // 0 would mean the retry policy's
			Category:       temporal.ApplicationErrorCategoryBenign,
			Details:        []any{contract.WaitProgress{StateName: state}},
		})
}

// comesBack is how long until Temporal brings an activity back that ended with
// err, 0 if it does not.
func comesBack(err error) time.Duration {
	var app *temporal.ApplicationError
	if !errors.As(err, &app) || app.NonRetryable() {
		return 0
	}
	return max(app.NextRetryDelay(), time.Millisecond)
}
