package atlassim

import (
	"slices"
	"time"
)

// upgrade is a cluster on its way to another kind.
type upgrade struct {
	to          Kind
	from, until time.Time
	id          string // the new one
	settings    settings
	newTags     bool // the tags asked for are shown from the start
	staleReads  int  // how many reads still show the cluster as it was before
	staleNow    bool // the read that is being answered is one of them
}

// When in the course of an upgrade things change, in hundredths of it. The order is recorded; the recording's early
// steps came within two minutes of 25 and are spread out here, so that a short upgrade shows them all.
const (
	tagsVanish     = 20
	stringsShrink  = 35 // to standardSrv alone
	idChanges      = 50 // with createDate, provider and size; strings {} and the tags are back
	stringsReturn  = 90
	wholeOfUpgrade = 100
)

// progressLocked is how far the upgrade is, in hundredths.
func (s *Server) progressLocked(c *cluster) int {
	total := c.upgrade.until.Sub(c.upgrade.from)
	if total <= 0 {
		return wholeOfUpgrade
	}
	return int(s.cfg.Now().Sub(c.upgrade.from) * wholeOfUpgrade / total)
}

// staleLocked says that GET still shows the cluster as it was before its upgrade. The API of the new kind never does.
func (s *Server) staleLocked(c *cluster) bool {
	if c.kind == c.upgrade.to {
		return false
	}
	return c.upgrade.staleNow || s.cfg.Now().Before(s.cfg.StaleIdleFor.after(c.upgrade.from))
}

// showUpgradeLocked changes a view into what Atlas shows of the cluster while it is being upgraded.
func (s *Server) showUpgradeLocked(c *cluster, v *view) {
	u, at := c.upgrade, s.progressLocked(c)
	if u.newTags {
		v.settings.tags = u.settings.tags
	}
	if at >= tagsVanish {
		v.settings.tags = nil
	}
	if at >= stringsShrink {
		v.connectionStrings = map[string]any{"standardSrv": c.key.srvAddress()}
	}
	if at >= idChanges {
		v.id, v.created, v.settings = u.id, u.from, u.settings
		if u.to == DEDICATED {
			v.kind = DEDICATED
		}
		v.connectionStrings = map[string]any{}
	}
	if at >= stringsReturn {
		v.connectionStrings = map[string]any{"standard": c.key.standardAddress(), "standardSrv": c.key.srvAddress()}
	}
}

// finishUpgradeLocked is the switch: from now on the API of the new kind, and no other, serves the cluster.
func (s *Server) finishUpgradeLocked(c *cluster) {
	u := c.upgrade
	c.kind, c.id, c.created, c.settings, c.upgrade = u.to, u.id, u.from, u.settings, nil
	c.readyAt, c.updatedAt, c.idleAt = u.until, u.until, u.until
}

// upgradable finds the cluster to upgrade, which must be of one of the kinds. A cluster that is being upgraded, or
// has been, is refused, and the answer that comes with the error says so to the ledger.
func (c *call) upgradable(kinds ...Kind) (*cluster, *answer, *apiError) {
	found := c.visible()
	if found == nil {
		return nil, nil, errNotFound(c.name, c.group)
	}
	second := &answer{second: found.upgraded}
	switch {
	case found.upgrade != nil: // the text is assumed
		return nil, second, errGeneral("Cluster " + c.name + " is already being upgraded")
	case slices.Contains(kinds, found.kind):
	case slices.Contains(kinds, FLEX):
		return nil, second, errNonFlexInFlexAPI(c.name)
	case found.kind == FLEX:
		return nil, second, errFlexInClusterAPI(c.name)
	case found.kind == SERVERLESS:
		return nil, second, errServerlessInClusterAPI(c.name)
	default: // the text is assumed
		return nil, second, errGeneral("Cluster " + c.name + " is not a tenant cluster")
	}
	switch {
	case !found.deletedAt.IsZero():
		return nil, nil, errDeleting()
	case c.s.stateLocked(found) != idle: // the text is assumed
		return nil, nil, errGeneral("Cluster " + c.name + " is not IDLE and cannot be upgraded")
	}
	return found, nil, nil
}

// startUpgrade starts the upgrade.
func (c *call) startUpgrade(found *cluster, to Kind, wanted settings) *upgrade {
	wanted.tags = c.s.storedTags(wanted.tags)
	found.upgrade = &upgrade{to: to, from: c.now, until: c.s.cfg.UpgradeFor.after(c.now), id: c.s.newIDLocked(c.now),
		settings: wanted, staleReads: c.s.cfg.StaleIdleReads}
	found.upgraded = true
	return found.upgrade
}
