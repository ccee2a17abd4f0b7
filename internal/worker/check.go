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

// logChecks logs what the worker finds where it starts: Temporal's version, the search attributes that it may set, and
// whether Atlas takes its credential. Without a project Atlas is asked for the token of a service account only;
// `starter doctor` asks more. Nothing of it keeps the worker from starting. A namespace that is not there does.
func logChecks(ctx context.Context, logger *zap.Logger, temporal client.Client, atlas *atlasclient.Client,
	about contract.WorkerReport, attributes []string,
) {
	fields := []zap.Field{
		zap.String("temporalVersion", serverVersion(ctx, temporal)), zap.Strings("searchAttributes", attributes),
		zap.String("atlasHost", about.AtlasHost), zap.String("credential", about.Credential),
	}
	found := activities.CheckAtlas(ctx, atlas, "")
	if found.ClockAhead != nil {
		fields = append(fields, zap.Int("clockAheadOfAtlasSeconds", int(math.Round(*found.ClockAhead))))
	}
	switch {
	case ctx.Err() != nil: // the worker stops already
	case found.Problem != "":
		logger.Warn("Atlas does not give a token to the worker's service account",
			append(fields, zap.String("problem", found.Problem), zap.String("next", found.Next))...)
	case found.ClockAhead != nil && math.Abs(*found.ClockAhead) > clockTolerance.Seconds():
		logger.Warn("The clock of this machine differs from Atlas's: set it by NTP", fields...)
	case found.Asked:
		logger.Info("Atlas gives a token to the worker's service account", fields...)
	default:
		logger.Info("Atlas is asked with the first request. 'starter doctor --project-id ID' asks it now", fields...)
	}
}

// serverVersion is the version of the Temporal server, "" where it does not tell.
func serverVersion(ctx context.Context, temporal client.Client) string {
	ctx, cancel := context.WithTimeout(ctx, versionLimit)
	defer cancel()
	info, err := temporal.WorkflowService().GetSystemInfo(ctx, &workflowservice.GetSystemInfoRequest{})
	if err != nil {
		return ""
	}
	return info.GetServerVersion()
}
