package ratelimit

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
)

// send is one request whose answer says what remains.
func send(t *testing.T, l *Limiter, groupID, resource string, o atlasclient.Observation) {
	t.Helper()
	release, err := l.Acquire(t.Context(), groupID, resource)
	require.NoError(t, err)
	release(o)
}

// Each resource of each project has a bucket of its own.
func TestBucketsAreApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := New()
		send(t, l, "a", "flexClusters", refused(time.Hour, nil))
		begun := time.Now()
		send(t, l, "a", "clusters", silent)
		send(t, l, "b", "flexClusters", silent)
		require.Zero(t, time.Since(begun))
		var busy BusyError
		_, err := l.Acquire(t.Context(), "a", "flexClusters")
		require.ErrorAs(t, err, &busy)
		require.Equal(t, 1200, busy.Limit)
		time.Sleep(time.Hour)
		synctest.Wait()
	})
}

// A bucket is forgotten once it is full again and nobody uses it.
func TestForget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := New()
		send(t, l, "full", "clusters", answered(100, 100))
		send(t, l, "empty", "clusters", answered(1200, 0)) // 144 s until it is full
		release, err := l.Acquire(t.Context(), "used", "clusters")
		require.NoError(t, err)
		time.Sleep(usageFor + 2*sweepEvery)
		synctest.Wait()
		require.Len(t, l.buckets, 1, "only the one in use is left")
		release(silent)
		time.Sleep(usageFor + 2*sweepEvery)
		synctest.Wait()
		require.Empty(t, l.buckets)
		require.False(t, l.sweeping, "no timer is left")
	})
}

// A bucket that is not full again is kept, however long ago Atlas spoke of it.
func TestForgetNothingThatMatters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := New()
		send(t, l, "blocked", "clusters", refused(time.Hour, nil)) // for five minutes
		time.Sleep(usageFor + sweepEvery + time.Second)
		synctest.Wait()
		require.Len(t, l.buckets, 1)
		time.Sleep(maxBlock)
		synctest.Wait()
		require.Empty(t, l.buckets)
	})
}

// A snapshot has what Atlas said last of each bucket, for three minutes.
func TestSnapshot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := New()
		require.Empty(t, l.Snapshot())
		send(t, l, "a", "flexClusters", answered(1200, 1000))
		send(t, l, "a", "flexClusters", answered(1200, 900))
		send(t, l, "a", "flexClusters", silent)
		send(t, l, "a", "serverless", silent)
		time.Sleep(time.Second)
		send(t, l, "b", "clusters", answered(100, 7))
		require.Equal(t, []Usage{
			{GroupID: "b", Resource: "clusters", Limit: 100, Remaining: 7, At: time.Now()},
			{GroupID: "a", Resource: "flexClusters", Limit: 1200, Remaining: 900, At: time.Now().Add(-time.Second)},
		}, l.Snapshot())
		time.Sleep(usageFor)
		require.Equal(t, []Usage{
			{GroupID: "b", Resource: "clusters", Limit: 100, Remaining: 7, At: time.Now().Add(-usageFor)},
		}, l.Snapshot())
		time.Sleep(time.Second)
		require.Empty(t, l.Snapshot())
		time.Sleep(time.Hour)
		synctest.Wait()
	})
}

// A snapshot has the 100 buckets of which Atlas spoke last.
func TestSnapshotIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := New()
		for i := range 150 {
			send(t, l, fmt.Sprintf("project-%03d", i), "clusters", answered(100, 50))
			time.Sleep(time.Millisecond)
		}
		usages := l.Snapshot()
		require.Len(t, usages, 100)
		require.Equal(t, "project-149", usages[0].GroupID)
		require.Equal(t, "project-050", usages[99].GroupID)
		time.Sleep(time.Hour)
		synctest.Wait()
	})
}
