package activities

import (
	"cmp"
	"time"
)

// Pace is how often the activities look, and for how long they wait for what will pass. A zero field takes its default.
type Pace struct {
	// Fast is how long a wait holds its slot and looks every FastEvery, and every eighth of its age later. Default 30
	// s: a Flex create takes about 8.
	Fast time.Duration
	// FastEvery is the shortest time between two looks of a wait that is alone in its project. Default 1 s.
	FastEvery time.Duration
	// SlowMin and SlowMax bound the time between two slow looks, which grows with the wait. Default 10 s and 60 s.
	SlowMin, SlowMax time.Duration
	// NotFoundFor is how long Atlas must answer that there is no such cluster, of one that it has shown before, until
	// it is taken to be gone. Default 30 s.
	NotFoundFor time.Duration
	// StandardFor is how long to wait for connectionStrings.standard once the cluster is IDLE. Default 1 min.
	StandardFor time.Duration
	// SettleFor is how long a cluster is watched after an upgrade whose answer was lost, before it is taken for not
	// upgraded: Atlas may still answer IDLE for a moment. Default 30 s.
	SettleFor time.Duration
	// LeaseEvery is the time between two looks at a cluster that is leased. Default 30 min, so that a lease whose
	// cluster somebody deleted ends within an hour.
	LeaseEvery time.Duration
}

// DefaultPace has the default of each field.
var DefaultPace = Pace{
	Fast: 30 * time.Second, FastEvery: time.Second,
	SlowMin: 10 * time.Second, SlowMax: time.Minute,
	NotFoundFor: 30 * time.Second, StandardFor: time.Minute, SettleFor: 30 * time.Second,
	LeaseEvery: 30 * time.Minute,
}

func (p Pace) withDefaults() Pace {
	d := DefaultPace
	return Pace{
		Fast: cmp.Or(p.Fast, d.Fast), FastEvery: cmp.Or(p.FastEvery, d.FastEvery),
		SlowMin: cmp.Or(p.SlowMin, d.SlowMin), SlowMax: cmp.Or(p.SlowMax, d.SlowMax),
		NotFoundFor: cmp.Or(p.NotFoundFor, d.NotFoundFor), StandardFor: cmp.Or(p.StandardFor, d.StandardFor),
		SettleFor: cmp.Or(p.SettleFor, d.SettleFor), LeaseEvery: cmp.Or(p.LeaseEvery, d.LeaseEvery),
	}
}
