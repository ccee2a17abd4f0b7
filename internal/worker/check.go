package worker

import (
	"context"
	"math"
	"net/url"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.uber.org/zap"

	"github.com/atlas-provisioner/atlas-provisioner/activities"
	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/version"
)

// about is what a worker knows of itself, which `starter doctor` shows.
func about(config Config) contract.WorkerReport {
	host := config.BaseURL
	if base, err := url.Parse(config.BaseURL); err == nil {
		host = base.Host
	}
	return contract.WorkerReport{
		Version: version.String(), Identity: config.Temporal.Identity, AtlasHost: host,
		Credential: credentialName(config.Auth),
	}
}

// versionLimit bounds what Temporal may take to tell its version.
const versionLimit = 5 * time.Second

// clockTolerance is how far the worker's clock may be from Atlas's. Nothing breaks beyond it, but then the times in its
// log cannot be compared with those that Atlas shows.
const clockTolerance = 10 * time.Second

// logChecks logs what the worker finds where it starts: Temporal's version, and whether Atlas takes its credential.
// Without a project Atlas is asked for the token of a service account only; `starter doctor` asks more. Nothing of it keeps the worker from starting. The search attributes are
// checked apart, and a namespace that is not there ends the worker.
func logChecks(ctx context.Context, logger *zap.Logger, temporal client.Client, atlas *atlasclient.Client,
	about contract.WorkerReport,
) {
	brief, cancel := context.WithTimeout(ctx, versionLimit)
	defer cancel()
	server, err := temporal.WorkflowService().GetSystemInfo(brief, &workflowservice.GetSystemInfoRequest{})
	if err != nil {
		logger.Warn("The version of the Temporal server cannot be read", zap.Error(err))
	}
	found := activities.CheckAtlas(ctx, atlas, "")
	fields := []zap.Field{
		zap.String("temporalVersion", server.GetServerVersion()), zap.String("atlasHost", about.AtlasHost),
		zap.String("credential", about.Credential), zap.Bool("atlasAsked", found.Asked),
	}
	if found.ClockAhead != nil {
		fields = append(fields, zap.Float64("clockAheadOfAtlasSeconds", *found.ClockAhead))
	}
	logger.Info("Checked before the first task", fields...)
	if found.Problem != "" && ctx.Err() == nil {
		logger.Warn("Atlas does not give a token to the worker's service account",
			zap.String("problem", found.Problem), zap.String("next", found.Next))
	}
	if found.ClockAhead != nil && math.Abs(*found.ClockAhead) > clockTolerance.Seconds() {
		logger.Warn("The clock of this machine differs from Atlas's: set it by NTP")
	}
}
