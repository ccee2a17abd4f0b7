package atlassim

import "time"

// view is what Atlas shows of a cluster at one moment. Each API renders it in a shape of its own.
type view struct {
	key               clusterKey
	kind              Kind
	id                string
	created           time.Time
	state             string
	connectionStrings map[string]any
	settings          settings
}

// viewLocked is what Atlas shows of the cluster now.
func (s *Server) viewLocked(c *cluster) view {
	v := view{key: c.key, kind: c.kind, id: c.id, created: c.created, state: s.stateLocked(c),
		connectionStrings: s.connectionStringsLocked(c), settings: c.settings}
	if v.state == deleting {
		v.settings.tags = nil // and id and connection strings stay (recorded)
	}
	if c.upgrade != nil && !s.staleLocked(c) {
		s.showUpgradeLocked(c, &v)
	}
	return v
}

// connectionStringsLocked has standardSrv from the start, and standard some time after the cluster is IDLE
// (recorded).
func (s *Server) connectionStringsLocked(c *cluster) map[string]any {
	now := s.cfg.Now()
	if s.cfg.NoStringsYet && now.Before(c.readyAt) {
		return map[string]any{}
	}
	standardAfter := s.cfg.StandardAfter
	if c.kind == SHARED {
		standardAfter = s.cfg.SharedStandardAfter
	}
	out := map[string]any{"standardSrv": c.key.srvAddress()}
	if !now.Before(standardAfter.after(c.idleAt)) {
		out["standard"] = c.key.standardAddress()
	}
	return out
}

// flex renders a FlexClusterDescription20241113.
func (v view) flex() map[string]any {
	return map[string]any{
		"backupSettings":    map[string]any{"enabled": true},
		"clusterType":       "REPLICASET",
		"connectionStrings": v.connectionStrings,
		"createDate":        timestamp(v.created),
		"groupId":           v.key.group,
		"id":                v.id,
		"mongoDBVersion":    mongoDB,
		"name":              v.key.name,
		"providerSettings": map[string]any{
			"backingProviderName": v.settings.provider, "diskSizeGB": 5.0, "providerName": "FLEX",
			"regionName": v.settings.region,
		},
		"stateName":                    v.state,
		"tags":                         tagList(v.settings.tags),
		"terminationProtectionEnabled": v.settings.protected,
		"versionReleaseSystem":         "LTS",
	}
}

// serverless renders a ServerlessInstanceDescription, whose connection strings have no standard (docs).
func (c *call) serverless(v view) map[string]any {
	return map[string]any{
		"connectionStrings": map[string]any{"standardSrv": v.key.srvAddress()},
		"createDate":        timestamp(v.created),
		"groupId":           v.key.group,
		"id":                v.id,
		"links":             []any{link("self", c.href("/api/atlas/v2/groups/"+v.key.group+"/serverless/"+v.key.name))},
		"mongoDBVersion":    mongoDB,
		"name":              v.key.name,
		"providerSettings": map[string]any{
			"backingProviderName": v.settings.provider, "effectiveDiskSizeGBLimit": 5,
			"effectiveInstanceSizeName": "FLEX", "effectiveProviderName": "FLEX", "providerName": "SERVERLESS",
			"regionName": v.settings.region,
		},
		"serverlessBackupOptions": map[string]any{
			"serverlessContinuousBackupEnabled": v.settings.continuousBackup,
		},
		"stateName":                    v.state,
		"tags":                         tagList(v.settings.tags),
		"terminationProtectionEnabled": v.settings.protected,
	}
}

func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// tagList never renders null: no tags are [] (recorded).
func tagList(tags []Tag) []Tag {
	if tags == nil {
		return []Tag{}
	}
	return tags
}
