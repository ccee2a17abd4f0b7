package atlassim

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// upgrade is a cluster on its way to another kind.
type upgrade struct {
	to               Kind
	from, until      time.Time
	id               string // the new one
	provider, region string
	tier             string
	tags             []Tag
	protected        bool
	continuousBackup bool
}

// When in the course of an upgrade things change, in hundredths of it. The
// order is recorded; the recording's early steps came within two minutes of
// 25 and are spread out here, so that a short upgrade shows them all.
const (
	tagsVanish     = 20
	stringsShrink  = 35 // to standardSrv alone
	idChanges      = 50 // with createDate; strings {} and the tags are back
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

// staleLocked says that GET still shows the cluster as it was before its upgrade.
func (s *Server) staleLocked(c *cluster) bool {
	return s.cfg.Now().Before(s.cfg.StaleIdleFor.after(c.upgrade.from))
}

// showUpgradeLocked changes a rendered cluster into what Atlas shows of it while it is
// being upgraded.
func (s *Server) showUpgradeLocked(c *cluster, out map[string]any) {
	if c.upgrade == nil || s.staleLocked(c) {
		return
	}
	u, at := c.upgrade, s.progressLocked(c)
	if at >= tagsVanish && at < idChanges {
		out["tags"] = []Tag{}
	}
	if at >= stringsShrink {
		out["connectionStrings"] = map[string]any{"standardSrv": c.srvAddress()}
	}
	if at >= idChanges {
		out["id"], out["createDate"] = u.id, timestamp(u.from)
		out["tags"] = tagList(u.tags)
		out["connectionStrings"] = map[string]any{}
	}
	if at >= stringsReturn {
		out["connectionStrings"] = map[string]any{"standard": c.standardAddress(), "standardSrv": c.srvAddress()}
	}
}

// finishUpgradeLocked is the switch: from now on the API of the new kind, and no
// other, serves the cluster.
func (s *Server) finishUpgradeLocked(c *cluster) {
	u := c.upgrade
	c.kind, c.id, c.created, c.upgrade = u.to, u.id, u.from, nil
	c.provider, c.region, c.tier = u.provider, u.region, u.tier
	c.tags, c.protected, c.continuousBackup = u.tags, u.protected, u.continuousBackup
	c.readyAt, c.idleAt = u.until, u.until
}

// upgradable finds the cluster to upgrade. A cluster that is being upgraded,
// or has been, is refused, and the answer that comes with the error says so
// to the ledger.
func (c *call) upgradable(api Kind) (*cluster, *answer, *apiError) {
	found := c.visible()
	if found == nil {
		return nil, nil, errNotFound(c.name, c.group)
	}
	second := &answer{second: found.upgraded}
	switch {
	case found.upgrade != nil: // the text is assumed
		return nil, second, errGeneral("Cluster " + c.name + " is already being upgraded")
	case api == FLEX && found.kind != FLEX:
		return nil, second, errNonFlexInFlexAPI(c.name)
	case api != FLEX && found.kind == FLEX:
		return nil, second, errFlexInClusterAPI(c.name)
	case found.kind == SERVERLESS:
		return nil, second, errServerlessInClusterAPI(c.name)
	case found.kind == DEDICATED: // the text is assumed
		return nil, second, errGeneral("Cluster " + c.name + " is not a tenant cluster")
	case !found.deletedAt.IsZero():
		return nil, nil, errDeleting()
	case c.s.stateLocked(found) != idle: // the text is assumed
		return nil, nil, errGeneral("Cluster " + c.name + " is not IDLE and cannot be upgraded")
	}
	return found, nil, nil
}

// startUpgrade starts the upgrade.
func (c *call) startUpgrade(found *cluster, u upgrade) {
	u.from, u.until = c.now, c.s.cfg.UpgradeFor.after(c.now)
	u.id = c.s.newIDLocked(c.now)
	found.upgrade, found.upgraded = &u, true
}

// upgradeToServerless answers POST clusters/tenantUpgradeToServerless: 200,
// UPDATING, the old id, in the shape of a ServerlessInstanceDescription.
func (c *call) upgradeToServerless() (*answer, *apiError) {
	if c.s.cfg.UpgradeRetired {
		return nil, errVersionGone(c.version, c.path())
	}
	var in struct {
		Name             string `json:"name"`
		ProviderSettings *struct {
			place
			ProviderName string `json:"providerName"`
		} `json:"providerSettings"`
		Backup struct {
			Continuous *bool `json:"serverlessContinuousBackupEnabled"`
		} `json:"serverlessBackupOptions"`
		Tags      []Tag `json:"tags"`
		Protected bool  `json:"terminationProtectionEnabled"`
	}
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	if err := checkName(in.Name); err != nil {
		return nil, err
	}
	if in.ProviderSettings == nil {
		return nil, errMissing("providerSettings")
	}
	p := in.ProviderSettings
	if err := p.place.check(); err != nil {
		return nil, err
	}
	if p.ProviderName != "" && p.ProviderName != string(SERVERLESS) {
		return nil, errInvalid("providerName")
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	c.name = in.Name
	found, second, err := c.upgradable(SHARED)
	if err != nil {
		return second, err
	}
	u := upgrade{to: SERVERLESS, provider: *p.BackingProviderName, region: *p.RegionName,
		tags: in.Tags, protected: in.Protected,
		continuousBackup: in.Backup.Continuous == nil || *in.Backup.Continuous} // default true (docs)
	out := c.serverless(found)
	c.startUpgrade(found, u)
	out["stateName"], out["tags"] = updating, tagList(u.tags)
	out["terminationProtectionEnabled"] = u.protected
	return c.answer(http.StatusOK, out, Upgraded), nil
}

// upgradeTenant answers POST clusters/tenantUpgrade: an M0 becomes Flex, or
// dedicated when an instance size of M10 or larger is asked for. The answer
// is a LegacyAtlasCluster (recorded).
func (c *call) upgradeTenant() (*answer, *apiError) {
	var in struct {
		Name             string `json:"name"`
		ProviderSettings *struct {
			place
			ProviderName     string `json:"providerName"`
			InstanceSizeName string `json:"instanceSizeName"`
		} `json:"providerSettings"`
	}
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	if err := checkName(in.Name); err != nil {
		return nil, err
	}
	p := in.ProviderSettings
	switch {
	case p == nil:
		return nil, errMissing("providerSettings")
	case p.ProviderName == "":
		return nil, errMissing("providerName")
	case p.InstanceSizeName == "":
		return nil, errMissing("instanceSizeName")
	}
	u := upgrade{to: FLEX, tier: p.InstanceSizeName}
	if p.ProviderName != string(FLEX) { // dedicated: the provider is its own backing
		u.to, p.BackingProviderName = DEDICATED, &p.ProviderName
	}
	if err := p.place.check(); err != nil {
		return nil, err
	}
	if (u.to == FLEX) != (u.tier == string(FLEX)) || u.to == DEDICATED && !dedicatedSize(u.tier) {
		return nil, errInvalid("instanceSizeName")
	}
	c.name = in.Name
	found, second, err := c.upgradable(SHARED)
	if err != nil {
		return second, err
	}
	if u.to == FLEX && found.tier != "M0" {
		return nil, errGeneral("Only an M0 cluster can be upgraded to Flex") // the text is assumed
	}
	u.provider, u.region = *p.BackingProviderName, *p.RegionName
	u.tags, u.protected = slices.Clone(found.tags), found.protected
	out := c.legacy(found) // the strings and tags of before, as recorded
	c.startUpgrade(found, u)
	out["stateName"] = updating
	return c.answer(http.StatusOK, out, Upgraded), nil
}

// upgradeFlex answers POST flexClusters:tenantUpgrade: Flex to dedicated. Only
// the first region of the first shard is looked at.
func (c *call) upgradeFlex() (*answer, *apiError) {
	var in struct {
		Name             string `json:"name"`
		ClusterType      string `json:"clusterType"`
		ReplicationSpecs []struct {
			RegionConfigs []struct {
				ProviderName   string `json:"providerName"`
				RegionName     string `json:"regionName"`
				Priority       int    `json:"priority"`
				ElectableSpecs struct {
					InstanceSize string `json:"instanceSize"`
					NodeCount    int    `json:"nodeCount"`
				} `json:"electableSpecs"`
			} `json:"regionConfigs"`
		} `json:"replicationSpecs"`
	}
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	if err := checkName(in.Name); err != nil {
		return nil, err
	}
	if len(in.ReplicationSpecs) == 0 || len(in.ReplicationSpecs[0].RegionConfigs) == 0 {
		return nil, errMissing("replicationSpecs")
	}
	place := in.ReplicationSpecs[0].RegionConfigs[0]
	if err := checkPlace(place.ProviderName, place.RegionName); err != nil {
		return nil, err
	}
	if !dedicatedSize(place.ElectableSpecs.InstanceSize) {
		return nil, errInvalid("instanceSize")
	}
	c.name = in.Name
	found, second, err := c.upgradable(FLEX)
	if err != nil {
		return second, err
	}
	out := c.s.flexLocked(found)
	c.startUpgrade(found, upgrade{to: DEDICATED, provider: place.ProviderName, region: place.RegionName,
		tier: place.ElectableSpecs.InstanceSize, tags: slices.Clone(found.tags), protected: found.protected})
	out["stateName"] = updating
	return c.answer(http.StatusOK, out, Upgraded), nil
}

// dedicatedSize tells M10 and larger from the shared sizes.
func dedicatedSize(size string) bool {
	return len(size) >= 3 && strings.HasPrefix(size, "M")
}
