package atlassim

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"
)

// Kind says which of Atlas's APIs serves a cluster.
type Kind string

// The kinds of cluster.
const (
	FLEX       Kind = "FLEX"       // served by flexClusters
	SHARED     Kind = "SHARED"     // M0, served by clusters
	SERVERLESS Kind = "SERVERLESS" // served by serverless
	DEDICATED  Kind = "DEDICATED"  // M10 and larger, served by clusters
)

// Tag is a key and a value on a cluster.
type Tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// States that Atlas reports (docs).
const (
	idle      = "IDLE"
	creating  = "CREATING"
	updating  = "UPDATING"
	deleting  = "DELETING"
	repairing = "REPAIRING"
)

const mongoDB = "8.0.20"

// clusterKey is what tells clusters apart.
type clusterKey struct{ group, name string }

// settings is what a caller can choose for a cluster.
type settings struct {
	provider, region string
	tier             string  // instance size, such as M0; "" for Flex and serverless
	diskGB           float64 // 0: what the tier has
	zone             string  // zoneName; "" is Zone 1
	tags             []Tag
	protected        bool // termination protection
	backup           bool // backupEnabled
	continuousBackup bool // serverlessContinuousBackupEnabled
	paused           bool
}

// cluster is one cluster. Its state is derived from the times in it.
type cluster struct {
	key      clusterKey
	kind     Kind
	id       string
	created  time.Time
	settings settings

	readyAt      time.Time // end of CREATING
	updatedAt    time.Time // end of the UPDATING that follows
	idleAt       time.Time // end of the REPAIRING that follows
	patchedUntil time.Time // end of the UPDATING of the last PATCH
	hiddenUntil  time.Time
	deletedAt    time.Time // when a delete was accepted; zero: it was not
	pinned       string    // a state set by SetState
	upgrade      *upgrade  // while it runs
	upgraded     bool      // once and for all

	processArgs map[string]any // set by PATCH processArgs
}

// stateLocked is what Atlas reports now.
func (s *Server) stateLocked(c *cluster) string {
	now := s.cfg.Now()
	switch {
	case c.pinned != "":
		return c.pinned
	case !c.deletedAt.IsZero() && !now.Before(s.cfg.DeletingAfter.after(c.deletedAt)):
		return deleting
	case c.upgrade != nil && !s.staleLocked(c):
		return updating
	case now.Before(c.readyAt):
		return creating
	case now.Before(c.updatedAt), now.Before(c.patchedUntil):
		return updating
	case now.Before(c.idleAt):
		return repairing
	}
	again := s.cfg.UpdatingAgainAfter.after(c.idleAt)
	if !now.Before(again) && now.Before(s.cfg.UpdatingAgainFor.after(again)) {
		return updating
	}
	return idle
}

// applyTimeLocked brings about what time has done: deletions and upgrades that are over, and upgrades that are half
// done.
func (s *Server) applyTimeLocked() {
	now := s.cfg.Now()
	s.clusters = slices.DeleteFunc(s.clusters, func(c *cluster) bool {
		gone := s.cfg.deleteFor(c.kind).after(c.deletedAt)
		if c.deletedAt.IsZero() || now.Before(gone) {
			return false
		}
		s.freed[c.key] = gone
		return true
	})
	for _, c := range s.clusters {
		switch {
		case c.upgrade == nil:
		case !now.Before(c.upgrade.until):
			s.finishUpgradeLocked(c)
		case c.kind == FLEX && s.progressLocked(c) >= idChanges:
			c.kind = c.upgrade.to // assumed: the cluster API serves it from the new id on
		}
	}
}

// deleteFor is how long a deletion takes.
func (c Config) deleteFor(kind Kind) Duration {
	switch kind {
	case SHARED:
		return c.DeleteSharedFor
	case DEDICATED:
		return c.DeleteDedicatedFor
	}
	return c.DeleteFor
}

// findLocked finds a cluster by name, hidden ones included.
func (s *Server) findLocked(group, name string) *cluster {
	for _, c := range s.clusters {
		if c.key == (clusterKey{group: group, name: name}) {
			return c
		}
	}
	return nil
}

// visible is findLocked for the API: right after a create there is nothing to see.
func (c *call) visible() *cluster {
	found := c.s.findLocked(c.group, c.name)
	if found == nil || c.now.Before(found.hiddenUntil) {
		return nil
	}
	c.countStaleRead(found)
	return found
}

// countStaleRead decides whether this request shows an upgrading cluster as it was. A read, of one cluster or of a
// list, uses up one of those that do.
func (c *call) countStaleRead(of *cluster) {
	if u := of.upgrade; u != nil {
		u.staleNow = c.r.Method == "GET" && u.staleReads > 0
		if u.staleNow {
			u.staleReads--
		}
	}
}

// addLocked makes a cluster. The caller has checked the request.
func (s *Server) addLocked(kind Kind, key clusterKey, wanted settings) *cluster {
	now := s.cfg.Now()
	wanted.tags = s.storedTags(wanted.tags)
	createFor := s.cfg.CreateFor
	if kind == DEDICATED {
		createFor = s.cfg.CreateDedicatedFor
	}
	c := &cluster{key: key, kind: kind, id: s.newIDLocked(now), created: now, settings: wanted,
		readyAt: createFor.after(now), hiddenUntil: s.cfg.HiddenFor.after(now)}
	c.updatedAt = s.cfg.UpdatingFor.after(c.readyAt)
	c.idleAt = s.cfg.RepairingFor.after(c.updatedAt)
	s.clusters = append(s.clusters, c)
	return c
}

// storedTags is what Atlas keeps of the tags in a request.
func (s *Server) storedTags(tags []Tag) []Tag {
	tags = slices.Clone(tags)
	if s.cfg.TrimTags {
		for i := range tags {
			tags[i] = Tag{Key: strings.TrimSpace(tags[i].Key), Value: strings.TrimSpace(tags[i].Value)}
		}
	}
	return tags
}

// newIDLocked makes an id of 24 hexadecimal digits that begins with the time, as Atlas's do.
func (s *Server) newIDLocked(now time.Time) string {
	s.lastID++
	return fmt.Sprintf("%08x51ab0c4e7d%06x", uint32(now.Unix()), s.lastID)
}

// startDelete begins the deletion that a request asks for. It returns false where Atlas accepts the request and
// ignores it: the first Config.IgnoredDeletes are.
func (c *call) startDelete(found *cluster) bool {
	if c.s.ignored < c.s.cfg.IgnoredDeletes {
		c.s.ignored++
		return false
	}
	found.deletedAt, found.upgrade = c.now, nil
	return true
}

// srvAddress is the cluster's mongodb+srv address, in a domain that resolves nowhere.
func (k clusterKey) srvAddress() string {
	return "mongodb+srv://" + strings.ToLower(hostName(k.name)) + "." + k.hash() + ".atlas-sim.invalid"
}

// hosts is the cluster's mongodb address without options: its three nodes by name.
func (k clusterKey) hosts() string {
	hosts := make([]string, 3)
	for i := range hosts {
		hosts[i] = fmt.Sprintf("ac-%[1]s-shard-00-0%[2]d.%[1]s.atlas-sim.invalid:27017", k.hash(), i)
	}
	return "mongodb://" + strings.Join(hosts, ",")
}

// standardAddress is the cluster's mongodb address.
func (k clusterKey) standardAddress() string {
	return k.hosts() + "/?ssl=true&authSource=admin&replicaSet=atlas-" + k.hash() + "-shard-0"
}

func (k clusterKey) hash() string {
	h := fnv.New32a()
	fmt.Fprint(h, k.group, "/", k.name)
	return fmt.Sprintf("%08x", h.Sum32())[:7]
}
