package atlassim

import (
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Endpoint families: those of one family share a rate limit.
const (
	familyFlex    = "flex"
	familyCluster = "cluster"
)

// clusterVersion is the newest resource version of the cluster API; those
// before it are deprecated (recorded).
const clusterVersion = "2024-08-05"

// call is one admitted request on its way through the endpoints. The lock is
// held for all of its life.
type call struct {
	s      *Server
	r      *http.Request
	body   []byte
	now    time.Time
	header http.Header // for the answer, whatever it is

	group, name string // from the path
	version     string // the resource version served
}

// endpoint is a row of the table below.
type endpoint struct {
	method, path string   // path below /groups/{groupId}/; * is a cluster name
	family       string   // of its rate limit
	versions     []string // resource versions, oldest first
	// Deprecation and Sunset headers, and the first version without them.
	deprecation, sunset, until string
	serve                      func(*call) (*answer, *apiError)
}

var (
	flexVersions       = []string{"2024-11-13"}
	clusterVersions    = []string{"2023-01-01", "2023-02-01", clusterVersion}
	serverlessVersions = []string{"2023-01-01"}
)

// Dates as Atlas writes them, one digit days included (recorded); those of
// the serverless endpoints are the x-sunset of the API description (docs),
// which has no date of deprecation but February 2025.
const (
	clusterDeprecation    = "Mon, 5 Aug 2024 00:00:00 GMT"
	clusterSunset         = "Thu, 1 Jul 2027 00:00:00 GMT"
	serverlessDeprecation = "Wed, 5 Feb 2025 00:00:00 GMT"
	serverlessSunset      = "Mon, 18 Jan 2027 00:00:00 GMT"
	upgradeSunset         = "Wed, 5 Feb 2025 00:00:00 GMT"
)

var endpoints = []endpoint{
	{"POST", "flexClusters", familyFlex, flexVersions, "", "", "", (*call).createFlex},
	{"GET", "flexClusters", familyFlex, flexVersions, "", "", "", (*call).listFlex},
	{"GET", "flexClusters/*", familyFlex, flexVersions, "", "", "", (*call).getFlex},
	{"PATCH", "flexClusters/*", familyFlex, flexVersions, "", "", "", (*call).patchFlex},
	{"DELETE", "flexClusters/*", familyFlex, flexVersions, "", "", "", (*call).deleteFlex},
	{"POST", "flexClusters:tenantUpgrade", familyFlex, flexVersions, "", "", "", (*call).upgradeFlex},

	{"POST", "clusters/tenantUpgrade", familyCluster, serverlessVersions, "", "", "", (*call).upgradeTenant},
	{"POST", "clusters/tenantUpgradeToServerless", familyCluster, serverlessVersions,
		serverlessDeprecation, upgradeSunset, "9999-12-31", (*call).upgradeToServerless},
	{"GET", "clusters", familyCluster, clusterVersions, clusterDeprecation, clusterSunset, clusterVersion, (*call).listClusters},
	{"GET", "clusters/*", familyCluster, clusterVersions, clusterDeprecation, clusterSunset, clusterVersion, (*call).getCluster},

	{"GET", "serverless", familyCluster, serverlessVersions,
		serverlessDeprecation, serverlessSunset, "9999-12-31", (*call).listServerless},
	{"GET", "serverless/*", familyCluster, serverlessVersions,
		serverlessDeprecation, serverlessSunset, "9999-12-31", (*call).getServerless},
}

// route finds the endpoint and passes the checks that all share, in Atlas's
// order as far as the recorded headers show it: version, project, rate limit.
func (c *call) route() (*answer, *apiError) {
	path := strings.Trim(c.r.URL.EscapedPath(), "/")
	if path == "api/atlas/v2" {
		if c.r.Method != http.MethodGet {
			return nil, errMethod()
		}
		if err := c.negotiate(serverlessVersions); err != nil {
			return nil, err
		}
		return c.ok(c.systemStatus()), nil
	}
	tail, found := strings.CutPrefix(path, "api/atlas/v2/groups/")
	group, tail, _ := strings.Cut(tail, "/")
	e, name := find(c.r.Method, tail)
	switch {
	case !found || e == nil:
		return nil, errResource(c.r.URL.Path)
	case e.serve == nil:
		return nil, errMethod()
	}
	c.group, c.name = group, name

	if err := c.negotiate(e.versions); err != nil {
		return nil, err
	}
	if c.version < e.until {
		c.header.Set("Deprecation", e.deprecation)
		c.header.Set("Sunset", e.sunset)
	}
	if err := c.project(); err != nil {
		return nil, err
	}
	if err := c.s.spendTokenLocked(group, e.family, path, c.header); err != nil {
		return nil, err
	}
	return e.serve(c)
}

// find returns the endpoint and the cluster name in the path; one without
// serve when only the method is wrong; nil when there is no such path.
func find(method, tail string) (*endpoint, string) {
	var other *endpoint
	for _, e := range endpoints {
		name := ""
		if prefix, wild := strings.CutSuffix(e.path, "*"); wild {
			rest, matches := strings.CutPrefix(tail, prefix)
			if !matches || rest == "" || strings.Contains(rest, "/") {
				continue
			}
			var err error
			if name, err = url.PathUnescape(rest); err != nil {
				continue
			}
		} else if tail != e.path {
			continue
		}
		if e.method == method {
			return &e, name
		}
		other = &endpoint{}
	}
	return other, ""
}

func errMethod() *apiError { // the code is assumed
	return failf(405, "UNEXPECTED_ERROR", "Method not allowed.")
}

var versionedType = regexp.MustCompile(`^application/vnd\.atlas\.([^+]+)\+json$`)

// negotiate picks the newest resource version at or before the date in the
// Accept header. A request without such a date is refused with 406 (public
// reports). Requests with a body must say the same in Content-Type, or plain
// application/json.
func (c *call) negotiate(versions []string) *apiError {
	asked := ""
	for part := range strings.SplitSeq(c.r.Header.Get("Accept"), ",") {
		if m := versionedType.FindStringSubmatch(mediaType(part)); m != nil {
			asked = m[1]
			break
		}
	}
	version, err := c.newest(asked, versions)
	if err != nil {
		return err
	}
	if c.r.Method == http.MethodPost || c.r.Method == http.MethodPatch {
		sent := mediaType(c.r.Header.Get("Content-Type"))
		m := versionedType.FindStringSubmatch(sent)
		switch {
		case m != nil:
			if _, err := c.newest(m[1], versions); err != nil {
				return err
			}
		case sent != "application/json":
			return failf(415, "UNEXPECTED_ERROR", "Unsupported media type.") // assumed
		}
	}
	c.version = version
	return nil
}

// newest returns the newest of the versions at or before the date asked for.
func (c *call) newest(asked string, versions []string) (string, *apiError) {
	if _, err := time.Parse(time.DateOnly, asked); err != nil || asked < versions[0] {
		return "", errVersionDate()
	}
	version := versions[0]
	for _, v := range versions {
		if v <= asked {
			version = v
		}
	}
	if slices.Contains(c.s.cfg.RetiredVersions, version) {
		return "", errVersionGone(version, c.path())
	}
	return version, nil
}

// path is the request's path the way Atlas puts it into parameters.
func (c *call) path() string { return strings.Trim(c.r.URL.Path, "/") }

func mediaType(header string) string {
	t, _, err := mime.ParseMediaType(header)
	if err != nil {
		return ""
	}
	return t
}

// project checks the id in the path: malformed, unknown, somebody else's. The
// last is 401 with a body that says so and a fresh challenge that invites a
// client to try in vain once more (public runs).
func (c *call) project() *apiError {
	cfg := c.s.cfg
	switch {
	case !groupPattern.MatchString(c.group):
		return errGroupID(c.group)
	case slices.Contains(cfg.ForeignGroups, c.group):
		c.s.challengeLocked(c.r, c.header, false)
		return errNotInGroup()
	case len(cfg.Groups) > 0 && !slices.Contains(cfg.Groups, c.group):
		return errGroup(c.group)
	}
	return nil
}

// ok is a 200 in the version that was negotiated.
func (c *call) ok(v any) *answer { return c.answer(http.StatusOK, v, NoEffect) }

func (c *call) answer(status int, v any, effect Effect) *answer {
	a := &answer{status: status, effect: effect, header: http.Header{},
		contentType: "application/vnd.atlas." + c.version + "+json;charset=utf-8"}
	if v != nil {
		a.body = marshal(v)
	}
	return a
}

// href is the absolute address of a path, as the caller reaches us.
func (c *call) href(path string) string {
	scheme := "http"
	if c.r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + c.r.Host + path
}

// systemStatus answers GET /api/atlas/v2, which is how one tries a credential.
func (c *call) systemStatus() any {
	return map[string]any{
		"appName": "MongoDB Atlas", "build": "5f0f2c1b7a9d4e6f8091a2b3c4d5e6f708192a3b", "throttling": false,
		"apiKey": map[string]any{
			"id": "5a1b2c3d4e5f60718293a4b5", "publicKey": "simulatd",
			"accessList": []any{}, "roles": []any{},
		},
		"links": []any{link("self", c.href("/api/atlas/v2"))},
	}
}

func link(rel, href string) any { return map[string]any{"rel": rel, "href": href} }
