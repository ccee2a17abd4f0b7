package atlassim

import (
	"net/http"
	"strconv"
)

// FlexRequest is the body of a flex create
// (FlexClusterDescriptionCreate20241113 in the API description).
type FlexRequest struct {
	Name                         string       `json:"name"`
	ProviderSettings             FlexProvider `json:"providerSettings"`
	Tags                         []Tag        `json:"tags,omitempty"`
	TerminationProtectionEnabled bool         `json:"terminationProtectionEnabled,omitempty"`
}

// FlexProvider says where a flex cluster is to be.
type FlexProvider struct {
	BackingProviderName string `json:"backingProviderName"`
	RegionName          string `json:"regionName"`
}

// place is a providerSettings as it comes in: one can see what was left out.
type place struct {
	BackingProviderName *string `json:"backingProviderName"`
	RegionName          *string `json:"regionName"`
}

// check tells an attribute that was left out from one that is wrong.
func (p *place) check() *apiError {
	switch {
	case p == nil:
		return errMissing("providerSettings")
	case p.BackingProviderName == nil:
		return errMissing("backingProviderName")
	case p.RegionName == nil:
		return errMissing("regionName")
	}
	return checkPlace(*p.BackingProviderName, *p.RegionName)
}

// check applies every rule for a create but the one that the name is free.
func (q FlexRequest) check() *apiError {
	if err := checkName(q.Name); err != nil {
		return err
	}
	if err := checkPlace(q.ProviderSettings.BackingProviderName, q.ProviderSettings.RegionName); err != nil {
		return err
	}
	return checkTags(q.Tags)
}

// createFlex answers POST flexClusters: 201, CREATING, and neither tags nor
// connectionStrings.standard (recorded).
func (c *call) createFlex() (*answer, *apiError) {
	var in struct {
		Name             string `json:"name"`
		ProviderSettings *place `json:"providerSettings"`
		Tags             []Tag  `json:"tags"`
		Protected        bool   `json:"terminationProtectionEnabled"`
	}
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	if in.Name == "" {
		return nil, errMissing("name")
	}
	if err := in.ProviderSettings.check(); err != nil {
		return nil, err
	}
	q := FlexRequest{Name: in.Name, Tags: in.Tags, TerminationProtectionEnabled: in.Protected,
		ProviderSettings: FlexProvider{*in.ProviderSettings.BackingProviderName, *in.ProviderSettings.RegionName}}
	if err := q.check(); err != nil {
		return nil, err
	}
	if err := c.s.checkNameFreeLocked(c.group, q.Name); err != nil {
		return nil, err
	}
	out := c.s.flexLocked(c.s.addLocked(FLEX, c.group, q))
	delete(out, "tags")
	return c.answer(http.StatusCreated, out, Created), nil
}

// flexCluster finds the flex cluster named in the path.
func (c *call) flexCluster() (*cluster, *apiError) {
	found := c.visible()
	switch {
	case found == nil:
		return nil, errNotFound(c.name, c.group)
	case !c.isFlex(found):
		return nil, errNonFlexInFlexAPI(c.name)
	}
	return found, nil
}

// isFlex says whether the flex API serves the cluster.
func (c *call) isFlex(x *cluster) bool {
	return x.kind == FLEX || x.kind == SERVERLESS && c.s.cfg.ServerlessAsFlex
}

func (c *call) getFlex() (*answer, *apiError) {
	found, err := c.flexCluster()
	if err != nil {
		return nil, err
	}
	return c.ok(c.s.flexLocked(found)), nil
}

// patchFlex changes tags and termination protection, and nothing else (docs).
func (c *call) patchFlex() (*answer, *apiError) {
	found, err := c.flexCluster()
	if err != nil {
		return nil, err
	}
	var in struct {
		Tags      *[]Tag `json:"tags"`
		Protected *bool  `json:"terminationProtectionEnabled"`
	}
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	if !found.deletedAt.IsZero() {
		return nil, errDeleting()
	}
	if in.Tags != nil {
		if err := checkTags(*in.Tags); err != nil {
			return nil, err
		}
		found.tags = *in.Tags
	}
	if in.Protected != nil {
		found.protected = *in.Protected
	}
	return c.answer(http.StatusOK, c.s.flexLocked(found), Updated), nil
}

// deleteFlex answers 204, then the cluster is DELETING, then gone (recorded).
// The first Config.IgnoredDeletes of them are accepted and forgotten.
func (c *call) deleteFlex() (*answer, *apiError) {
	found, err := c.flexCluster()
	switch {
	case err != nil:
		return nil, err
	case !found.deletedAt.IsZero():
		return nil, errDeleting()
	case found.protected:
		return nil, errProtected(c.name, c.group)
	case c.s.ignored < c.s.cfg.IgnoredDeletes:
		c.s.ignored++
		return c.answer(http.StatusNoContent, nil, NoEffect), nil
	}
	found.deletedAt, found.upgrade = c.now, nil
	return c.answer(http.StatusNoContent, nil, Deleted), nil
}

func (c *call) listFlex() (*answer, *apiError) {
	return c.list(func(x *cluster) any {
		if !c.isFlex(x) {
			return nil
		}
		return c.s.flexLocked(x)
	})
}

// list pages through the project's clusters that render does not answer nil
// for, oldest first. Defaults and bounds of the parameters are from the docs.
func (c *call) list(render func(*cluster) any) (*answer, *apiError) {
	size, err := c.number("itemsPerPage", 100, 500)
	if err != nil {
		return nil, err
	}
	page, err := c.number("pageNum", 1, 1<<31-1)
	if err != nil {
		return nil, err
	}
	count, badCount := strconv.ParseBool(c.query("includeCount", "true"))
	if badCount != nil {
		return nil, errQuery("includeCount")
	}

	all := []any{}
	for _, x := range c.s.clusters {
		if x.group == c.group && !c.now.Before(x.hiddenUntil) {
			if v := render(x); v != nil {
				all = append(all, v)
			}
		}
	}
	from := min((page-1)*size, len(all))
	to := min(from+size, len(all))
	links := []any{c.pageLink("self", page, size, count)}
	if page > 1 {
		links = append(links, c.pageLink("previous", page-1, size, count))
	}
	if to < len(all) {
		links = append(links, c.pageLink("next", page+1, size, count))
	}
	out := map[string]any{"links": links, "results": all[from:to]}
	if count {
		out["totalCount"] = len(all)
	}
	return c.ok(out), nil
}

func (c *call) pageLink(rel string, page, size int, count bool) any {
	return link(rel, c.href(c.r.URL.EscapedPath()+"?includeCount="+strconv.FormatBool(count)+
		"&pageNum="+strconv.Itoa(page)+"&itemsPerPage="+strconv.Itoa(size)))
}

func (c *call) query(name, fallback string) string {
	if v := c.r.URL.Query().Get(name); v != "" {
		return v
	}
	return fallback
}

// number reads a query parameter from 1 to limit.
func (c *call) number(name string, fallback, limit int) (int, *apiError) {
	n, err := strconv.Atoi(c.query(name, strconv.Itoa(fallback)))
	if err != nil || n < 1 || n > limit {
		return 0, errQuery(name)
	}
	return n, nil
}

// flexLocked renders a FlexClusterDescription20241113.
func (s *Server) flexLocked(c *cluster) map[string]any {
	out := map[string]any{
		"backupSettings":    map[string]any{"enabled": true},
		"clusterType":       "REPLICASET",
		"connectionStrings": s.connectionStringsLocked(c),
		"createDate":        timestamp(c.created),
		"groupId":           c.group,
		"id":                c.id,
		"mongoDBVersion":    mongoDB,
		"name":              c.name,
		"providerSettings": map[string]any{
			"backingProviderName": c.provider, "diskSizeGB": 5.0, "providerName": "FLEX", "regionName": c.region,
		},
		"stateName":                    s.stateLocked(c),
		"tags":                         tagList(c.tags),
		"terminationProtectionEnabled": c.protected,
		"versionReleaseSystem":         "LTS",
	}
	s.showUpgradeLocked(c, out)
	return out
}
