package activities

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// WorkerCheck has the activity by which a worker tells how it stands.
type WorkerCheck struct {
	// About is what the worker knows of itself.
	About contract.WorkerReport
	Atlas *atlasclient.Client
}

// CheckWorker tells how this worker stands. What is wrong is part of the answer, so it does not fail.
func (w *WorkerCheck) CheckWorker(
	ctx context.Context, in contract.CheckWorkerInput,
) (contract.WorkerReport, error) {
	report := w.About
	report.ClockAheadOfTemporal = time.Since(activity.GetInfo(ctx).StartedTime).Seconds()
	report.Atlas = CheckAtlas(ctx, w.Atlas, in.GroupID)
	return report, nil
}

// atlasCheckLimit bounds what Atlas may take for its answer. It usually takes less than a second.
const atlasCheckLimit = 5 * time.Second

// CheckAtlas tells whether Atlas takes the worker's credential: for a project, or without one whether it gives a token
// to a service account. It changes nothing in Atlas.
func CheckAtlas(ctx context.Context, atlas *atlasclient.Client, groupID string) contract.AtlasReport {
	ctx, cancel := context.WithTimeoutCause(ctx, atlasCheckLimit,
		fmt.Errorf("the time limit of %s ran out: %w", atlasCheckLimit, context.DeadlineExceeded))
	defer cancel()
	begun := time.Now()
	var resp *atlasclient.Response
	var err error
	if groupID == "" {
		resp, err = atlas.FetchToken(ctx)
	} else {
		resp, err = atlas.ReadProject(ctx, groupID)
	}
	report := contract.AtlasReport{Asked: resp != nil || err != nil}
	if err != nil {
		report.Problem, report.Next = describeProblem(err)
		return report
	}
	if resp != nil && !resp.Date.IsZero() {
		// Atlas's clock stands somewhere in the second that it names, and it answered between begun and now.
		const half = time.Second / 2
		ahead := (begun.Add(time.Since(begun)/2).Sub(resp.Date) - half).Seconds()
		report.ClockAhead = &ahead
	}
	return report
}

// describeProblem says what is wrong, and what to do about it.
func describeProblem(err error) (problem, next string) {
	var answer *atlasclient.Error
	switch {
	case !errors.As(err, &answer): // the limiter's
		return "Atlas was not asked: " + err.Error(), "try again later"
	case answer.Status == 0:
		return describeAnswer(answer), "let the worker reach Atlas: check DNS, firewalls, HTTPS_PROXY and " +
			"MONGODB_ATLAS_BASE_URL of the worker"
	case retryable(answer):
		return describeAnswer(answer), "try again later"
	}
	return describeAnswer(answer), strings.TrimSuffix(advice(answer), again)
}
