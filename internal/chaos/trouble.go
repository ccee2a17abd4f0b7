//go:build unix

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"syscall"
	"time"
)

// crashGap is the time between two crashes of the Temporal server.
const crashGap = 15 * time.Second

// crashes are the parts of the Temporal server that are killed, in the order of
// the seed.
func crashes(o options) []part {
	parts := slices.Concat(slices.Repeat([]part{serverPart}, o.restarts), slices.Repeat([]part{databasePart}, o.databaseRestarts()))
	rand.New(rand.NewPCG(o.seed, 1)).Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	return parts
}

// trouble kills and stops workers every few seconds, and the parts of the
// Temporal server a few times, until calm is closed.
func (s *stack) trouble(ctx context.Context, calm <-chan struct{}) error {
	nextCrash := time.Now().Add(10 * time.Second)
	for {
		pause := 2*time.Second + time.Duration(s.random.Int64N(int64(2*time.Second)))
		select {
		case <-calm:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
		i, fatally := s.random.IntN(len(s.workers)), s.random.IntN(2) == 0
		if err := s.hitWorker(i, fatally); err != nil {
			return err
		}
		if len(s.due) > 0 && time.Now().After(nextCrash) {
			s.crashed[s.due[0]]++
			if err := s.server.crash(ctx, s.due[0]); err != nil {
				return err
			}
			s.due = s.due[1:]
			nextCrash = time.Now().Add(crashGap)
		}
		if err := s.control(ctx, http.MethodPost, "revoke-tokens", nil, nil); err != nil {
			return err
		}
	}
}

func (s *stack) hitWorker(i int, fatally bool) error {
	w := s.workers[i]
	select {
	case <-w.Done:
		// It found no Temporal when it started. Whatever runs it starts it
		// again; here, that is us.
		return s.startWorker(i)
	default:
	}
	if fatally {
		s.kills++
		kill(w)
		return s.startWorker(i)
	}
	s.stops++
	begun := time.Now()
	w.Signal(syscall.SIGTERM)
	<-w.Done
	if took := time.Since(begun); w.Err != nil || took > 10*time.Second {
		s.unclean = append(s.unclean, fmt.Sprintf("worker-%d was stopped: it ended after %s, %v", i, took.Round(time.Millisecond), w.Err))
	}
	return s.startWorker(i)
}
