package atlasclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// flexVersion is the resource version at which the flex endpoints begin.
const flexVersion = "2024-11-13"

// FlexClusterRequest asks for a Flex cluster.
type FlexClusterRequest struct {
	Name                         string           `json:"name"`
	ProviderSettings             ProviderSettings `json:"providerSettings"`
	Tags                         []Tag            `json:"tags,omitempty"`
	TerminationProtectionEnabled bool             `json:"terminationProtectionEnabled"`
}

// CreateFlexCluster asks for a Flex cluster. The answer comes at once, with the cluster CREATING. A name that is taken
// is a 400 DUPLICATE_CLUSTER_NAME.
func (c *Client) CreateFlexCluster(
	ctx context.Context, groupID string, r FlexClusterRequest,
) (*Cluster, *Response, error) {
	// Read-only in Atlas's description of the request.
	r.ProviderSettings.ProviderName, r.ProviderSettings.DiskSizeGB = "", 0
	return c.cluster(ctx, r.Name, call{
		method: http.MethodPost, endpoint: "/groups/{groupId}/flexClusters", params: []string{groupID},
		version: flexVersion, body: r,
	})
}

// GetFlexCluster reads a Flex cluster. Right after its create the answer may be a 404 for a moment.
func (c *Client) GetFlexCluster(ctx context.Context, groupID, name string) (*Cluster, *Response, error) {
	return c.cluster(ctx, name, call{
		method: http.MethodGet, endpoint: "/groups/{groupId}/flexClusters/{name}", params: []string{groupID, name},
		version: flexVersion,
	})
}

// UpdateFlexCluster changes a Flex cluster. Since March 2026 the answer is IDLE with the change done; before, it was
// UPDATING for about a second.
func (c *Client) UpdateFlexCluster(
	ctx context.Context, groupID, name string, u ClusterUpdate,
) (*Cluster, *Response, error) {
	return c.cluster(ctx, name, call{
		method: http.MethodPatch, endpoint: "/groups/{groupId}/flexClusters/{name}", params: []string{groupID, name},
		version: flexVersion, body: u,
	})
}

// DeleteFlexCluster asks for the end of a Flex cluster. It goes through DELETING and is then a 404 CLUSTER_NOT_FOUND,
// within half a minute.
func (c *Client) DeleteFlexCluster(ctx context.Context, groupID, name string) (*Response, error) {
	return c.do(ctx, call{
		method: http.MethodDelete, endpoint: "/groups/{groupId}/flexClusters/{name}", params: []string{groupID, name},
		version: flexVersion,
	})
}

const (
	// MaxPageSize is the most clusters that one page of a list holds.
	MaxPageSize = 500
	// maxPages is more than any project fills.
	maxPages = 20
)

// flexPage is one page of the list of Flex clusters.
type flexPage struct {
	Results    []clusterAnswer `json:"results"`
	TotalCount int             `json:"totalCount"`
}

// ListFlexClusters reads all Flex clusters of a project, with a request for each 500 of them. The Response is the last
// page's.
func (c *Client) ListFlexClusters(ctx context.Context, groupID string) ([]Cluster, *Response, error) {
	var all []Cluster
	var previous []clusterAnswer
	for number := 1; ; number++ {
		var page flexPage
		last := func() bool {
			// The count is an estimate, says Atlas's description, so a full page has a next one whatever it says.
			n := len(page.Results)
			return n == 0 || n < MaxPageSize && len(all)+n >= page.TotalCount
		}
		resp, err := c.do(ctx, call{
			method: http.MethodGet, version: flexVersion,
			endpoint: "/groups/{groupId}/flexClusters", params: []string{groupID},
			query: url.Values{
				"itemsPerPage": {strconv.Itoa(MaxPageSize)}, "pageNum": {strconv.Itoa(number)},
				"includeCount": {"true"},
			},
			into: &page,
			needed: &struct {
				Results []neededFields `json:"results"`
			}{},
			check: func() error {
				if number == maxPages && !last() {
					return fmt.Errorf("the list has more than %d pages, which no project fills", maxPages)
				}
				return page.read(previous)
			},
		})
		if err != nil {
			return nil, nil, err
		}
		done := last()
		for i := range page.Results {
			all = append(all, page.Results[i].Cluster)
		}
		if done {
			return all, resp, nil
		}
		previous = page.Results
	}
}

// ReadProject reads one Flex cluster of a project at most, to see whether Atlas takes the credential for the project. A
// credential that may not read it is a 401 NOT_IN_GROUP, an unknown project a 404 GROUP_NOT_FOUND.
func (c *Client) ReadProject(ctx context.Context, groupID string) (*Response, error) {
	var page flexPage
	return c.do(ctx, call{
		method: http.MethodGet, endpoint: "/groups/{groupId}/flexClusters", params: []string{groupID},
		version: flexVersion, query: url.Values{"itemsPerPage": {"1"}},
		into: &page, check: func() error { return page.read(nil) },
	})
}

// read checks that a page is one that comes after the previous, and reads its entries.
func (p *flexPage) read(previous []clusterAnswer) error {
	if p.Results == nil {
		return errors.New("the body is no list: it has no results")
	}
	for i := range p.Results {
		if err := p.Results[i].read(p.Results[i].Name); err != nil {
			return fmt.Errorf("entry %d of the list: %w", i+1, err)
		}
	}
	sameName := func(a, b clusterAnswer) bool { return a.Name == b.Name }
	if len(previous) > 0 && slices.EqualFunc(p.Results, previous, sameName) {
		return errors.New("a page of the list is the one before it again: " +
			"something on the way may drop the query of the URL")
	}
	return nil
}
