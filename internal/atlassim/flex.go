package atlassim

import "net/http"

// FlexRequest is the body of a flex create (FlexClusterDescriptionCreate20241113 in the API description).
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

// place is a providerSettings as it comes in: one can see what was left out. Its last two attributes are read-only,
// and taken without complaint.
type place struct {
	BackingProviderName *string `json:"backingProviderName"`
	RegionName          *string `json:"regionName"`
	ProviderName        any     `json:"providerName"`
	DiskSizeGB          any     `json:"diskSizeGB"`
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

// settings is what the request asks for.
func (q FlexRequest) settings() settings {
	return settings{provider: q.ProviderSettings.BackingProviderName, region: q.ProviderSettings.RegionName,
		tags: q.Tags, protected: q.TerminationProtectionEnabled}
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

// createFlex answers POST flexClusters: 201, CREATING, and without connectionStrings.standard; tags are left out
// where none were asked for (recorded).
func (c *call) createFlex() (*answer, *apiError) {
	var in struct {
		Name             string `json:"name"`
		ProviderSettings *place `json:"providerSettings"`
		Tags             []Tag  `json:"tags"`
		Protected        bool   `json:"terminationProtectionEnabled"`
	}
	if err := decode(c.body, &in, "links"); err != nil {
		return nil, err
	}
	if in.Name == "" {
		return nil, errMissing("name")
	}
	if err := in.ProviderSettings.check(); err != nil {
		return nil, err
	}
	q := FlexRequest{Name: in.Name, Tags: in.Tags, TerminationProtectionEnabled: in.Protected,
		ProviderSettings: FlexProvider{BackingProviderName: *in.ProviderSettings.BackingProviderName,
			RegionName: *in.ProviderSettings.RegionName}}
	if err := q.check(); err != nil {
		return nil, err
	}
	if err := c.s.checkNameFreeLocked(c.group, q.Name); err != nil {
		return nil, err
	}
	made := c.s.addLocked(FLEX, clusterKey{group: c.group, name: q.Name}, q.settings())
	out := c.s.viewLocked(made).flex()
	if len(q.Tags) == 0 {
		delete(out, "tags")
	}
	return c.answer(http.StatusCreated, out, Created), nil
}

// flexCluster finds the flex cluster named in the path. Of a cluster on its way to Flex it says 400 "cannot use"
// until the new id is made, and 404 from then until the switch (both happen, say public runs; when which is assumed).
func (c *call) flexCluster() (*cluster, *apiError) {
	found := c.visible()
	switch {
	case found == nil:
		return nil, errNotFound(c.name, c.group)
	case c.isFlex(found):
		return found, nil
	case found.upgrade != nil && found.upgrade.to == FLEX && c.s.progressLocked(found) >= idChanges:
		return nil, errNotFound(c.name, c.group)
	}
	return nil, errNonFlexInFlexAPI(c.name)
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
	return c.ok(c.s.viewLocked(found).flex()), nil
}

// patchFlex changes tags and termination protection, and nothing else (docs). The answer is IDLE with the change
// done, as since March 2026, or UPDATING where Config.UpdateFor says so, as before. Tags are the whole list.
func (c *call) patchFlex() (*answer, *apiError) {
	found, err := c.flexCluster()
	if err != nil {
		return nil, err
	}
	var in struct {
		Tags      *[]Tag `json:"tags"`
		Protected *bool  `json:"terminationProtectionEnabled"`
	}
	if err := decode(c.body, &in, "links"); err != nil {
		return nil, err
	}
	if !found.deletedAt.IsZero() {
		return nil, errDeleting()
	}
	if in.Tags != nil {
		if err := checkTags(*in.Tags); err != nil {
			return nil, err
		}
		found.settings.tags = c.s.storedTags(*in.Tags)
	}
	if in.Protected != nil {
		found.settings.protected = *in.Protected
	}
	found.patchedUntil = c.s.cfg.UpdateFor.after(c.now)
	return c.answer(http.StatusOK, c.s.viewLocked(found).flex(), Updated), nil
}

// deleteFlex answers 204, then the cluster is DELETING, then gone (recorded). A cluster can be deleted while it is
// CREATING (public runs).
func (c *call) deleteFlex() (*answer, *apiError) {
	found, err := c.flexCluster()
	switch {
	case err != nil:
		return nil, err
	case !found.deletedAt.IsZero():
		return nil, errDeleting()
	case found.settings.protected:
		return nil, errFlexProtected()
	}
	return c.deleted(found, c.answer(http.StatusNoContent, nil, Deleted)), nil
}

// deleted starts the deletion of a cluster and returns the answer to the request, which has no effect where Atlas
// ignores it.
func (c *call) deleted(found *cluster, a *answer) *answer {
	if !c.startDelete(found) {
		a.effect = NoEffect
	}
	return a
}

func (c *call) listFlex() (*answer, *apiError) {
	return c.list(func(x *cluster) any {
		if !c.isFlex(x) {
			return nil
		}
		return c.s.viewLocked(x).flex()
	})
}
