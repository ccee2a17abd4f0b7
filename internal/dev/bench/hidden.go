//go:build unix

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"go.uber.org/zap"

	"github.com/atlas-provisioner/atlas-provisioner/activities"
	"github.com/atlas-provisioner/atlas-provisioner/internal/env"
	"github.com/atlas-provisioner/atlas-provisioner/internal/worker"
)

// The hidden modes.
const (
	floorMode  = "floor-worker"
	scaledMode = "scaled-worker"
)

// The floor is a workflow of two empty activities. It costs what a run of create and wait would cost if neither did
// anything.
const (
	floorWorkflow = "Floor"
	floorActivity = "Nothing"
	floorQueue    = "floor"
)

// serveFloor is a worker for the floor. It has the same SDK options as our worker.
func serveFloor(ctx context.Context, _, environ []string, stderr io.Writer) int {
	e := env.Env(environ)
	options, err := e.TemporalOptions()
	if err != nil {
		return failed(stderr, err)
	}
	c, err := client.DialContext(ctx, options)
	if err != nil {
		return failed(stderr, err)
	}
	defer c.Close()
	w := sdkworker.New(c, floorQueue, worker.Options())
	w.RegisterWorkflowWithOptions(func(ctx workflow.Context) error {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
		for range 2 {
			if err := workflow.ExecuteActivity(ctx, floorActivity).Get(ctx, nil); err != nil {
				return err
			}
		}
		return nil
	}, workflow.RegisterOptions{Name: floorWorkflow})
	doNothing := func(context.Context) error { return nil }
	w.RegisterActivityWithOptions(doNothing, activity.RegisterOptions{Name: floorActivity})
	if err := w.Start(); err != nil {
		return failed(stderr, err)
	}
	defer w.Stop()
	answerOK := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	ready := &http.Server{Addr: e.Get("WORKER_HTTP_ADDRESS", ""), Handler: answerOK}
	context.AfterFunc(ctx, func() { _ = ready.Close() })
	if err := ready.ListenAndServe(); ctx.Err() == nil {
		return failed(stderr, err)
	}
	return exitOK
}

// serveScaled is our worker with intervals that are shorter by a factor, which is the first argument.
func serveScaled(ctx context.Context, args, environ []string, stderr io.Writer) int {
	factor, err := strconv.Atoi(args[0])
	if err != nil {
		return failed(stderr, err)
	}
	config, err := worker.ReadConfig(environ)
	if err != nil {
		return failed(stderr, err)
	}
	p := activities.DefaultPace
	for _, d := range []*time.Duration{
		&p.Fast, &p.FastEvery, &p.SlowMin, &p.SlowMax, &p.NotFoundFor, &p.StandardFor, &p.SettleFor,
	} {
		*d /= time.Duration(factor)
	}
	config.Pace = p
	if err := worker.Serve(ctx, config, zap.NewNop()); err != nil {
		return failed(stderr, err)
	}
	return exitOK
}

func failed(stderr io.Writer, err error) int {
	fmt.Fprintln(stderr, err)
	return 1
}
