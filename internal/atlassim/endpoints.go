package atlassim

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Endpoint families: those of one family share a rate limit.
const (
	familyFlex    = "flex"
	familyCluster = "cluster"
)

// endpoint is a row of the table below.
type endpoint struct {
	method, path string // path below /groups/{groupId}/; * is a cluster's name
	family       string // of its rate limit
	versions     []string
	retirement   retirement
	javaMethod   string // for X-Java-Method; "" where none is recorded
	serve        func(*call) (*answer, *apiError)
}

// retirement is the Deprecation and the Sunset header of versions that will go.
type retirement struct {
	deprecation, sunset string
	until               string // the first version without them; "" where no version has them
}

var (
	flexVersions    = []string{"2024-11-13"}
	firstVersion    = []string{legacyVersion}
	readVersions    = []string{legacyVersion, v15Version, clusterVersion}
	writeVersions   = []string{v15Version, clusterVersion, writeVersion}
	deleteVersions  = []string{legacyVersion, v15Version}
	processVersions = []string{legacyVersion, clusterVersion}
)

// Dates as Atlas writes them, one digit days included (recorded); those of the serverless endpoints are the x-sunset
// of the API description (docs), which has no date of deprecation but February 2025.
var (
	clusterRetirement = retirement{deprecation: "Mon, 5 Aug 2024 00:00:00 GMT", sunset: "Thu, 1 Jul 2027 00:00:00 GMT",
		until: clusterVersion}
	serverlessRetired = retirement{deprecation: "Wed, 5 Feb 2025 00:00:00 GMT", sunset: "Mon, 18 Jan 2027 00:00:00 GMT",
		until: "9999-12-31"}
	upgradeRetired = retirement{deprecation: "Wed, 5 Feb 2025 00:00:00 GMT", sunset: "Wed, 5 Feb 2025 00:00:00 GMT",
		until: "9999-12-31"}
	deleteRetirement = retirement{deprecation: clusterRetirement.deprecation, sunset: clusterRetirement.sunset,
		until: v15Version}
)

var endpoints = []endpoint{
	{method: "POST", path: "flexClusters", family: familyFlex, versions: flexVersions,
		javaMethod: "ApiAtlasFlexClusterResource::createFlexCluster", serve: (*call).createFlex},
	{method: "GET", path: "flexClusters", family: familyFlex, versions: flexVersions,
		javaMethod: "ApiAtlasFlexClusterResource::getAllFlexClusters", serve: (*call).listFlex},
	{method: "GET", path: "flexClusters/*", family: familyFlex, versions: flexVersions,
		javaMethod: "ApiAtlasFlexClusterResource::getFlexCluster", serve: (*call).getFlex},
	{method: "PATCH", path: "flexClusters/*", family: familyFlex, versions: flexVersions, serve: (*call).patchFlex},
	{method: "DELETE", path: "flexClusters/*", family: familyFlex, versions: flexVersions,
		javaMethod: "ApiAtlasFlexClusterResource::deleteFlexCluster", serve: (*call).deleteFlex},
	{method: "POST", path: "flexClusters:tenantUpgrade", family: familyFlex, versions: flexVersions,
		serve: (*call).upgradeToDedicated},

	{method: "POST", path: "clusters/tenantUpgrade", family: familyCluster, versions: firstVersion,
		javaMethod: "ApiAtlasLegacyClusterDescriptionResource::upgradeTenantCluster", serve: (*call).upgradeTenant},
	{method: "POST", path: "clusters/tenantUpgradeToServerless", family: familyCluster, versions: firstVersion,
		retirement: upgradeRetired, serve: (*call).upgradeToServerless},
	{method: "GET", path: "clusters/provider/regions", family: familyCluster, versions: firstVersion,
		serve: (*call).listRegions},
	{method: "GET", path: "clusters", family: familyCluster, versions: readVersions,
		retirement: clusterRetirement, serve: (*call).listClusters},
	{method: "POST", path: "clusters", family: familyCluster, versions: writeVersions,
		retirement: clusterRetirement,
		javaMethod: "ApiAtlasClusterDescriptionV15Resource::createCluster", serve: (*call).createCluster},
	{method: "GET", path: "clusters/*", family: familyCluster, versions: readVersions,
		retirement: clusterRetirement,
		javaMethod: "ApiAtlasClusterDescriptionResource20240805::getCluster", serve: (*call).getCluster},
	{method: "PATCH", path: "clusters/*", family: familyCluster, versions: writeVersions,
		retirement: clusterRetirement, serve: (*call).patchCluster},
	{method: "DELETE", path: "clusters/*", family: familyCluster, versions: deleteVersions,
		retirement: deleteRetirement,
		javaMethod: "ApiAtlasClusterDescriptionV15Resource::deleteCluster", serve: (*call).deleteCluster},
	{method: "GET", path: "clusters/*/processArgs", family: familyCluster, versions: processVersions,
		serve: (*call).getProcessArgs},
	{method: "PATCH", path: "clusters/*/processArgs", family: familyCluster, versions: processVersions,
		serve: (*call).patchProcessArgs},
	{method: "GET", path: "clusters/*/status", family: familyCluster, versions: firstVersion,
		serve: (*call).getChangeStatus},
	{method: "GET", path: "clusters/*/autoScalingConfiguration", family: familyCluster,
		versions: []string{clusterVersion}, serve: (*call).getAutoScalingMode},

	{method: "GET", path: "serverless", family: familyCluster, versions: firstVersion,
		retirement: serverlessRetired, serve: (*call).listServerless},
	{method: "GET", path: "serverless/*", family: familyCluster, versions: firstVersion,
		retirement: serverlessRetired, serve: (*call).getServerless},

	{method: "GET", path: "", family: familyCluster, versions: firstVersion, serve: (*call).getProject},
	{method: "GET", path: "containers", family: familyCluster, versions: firstVersion, serve: (*call).listContainers},
	{method: "GET", path: "containers/all", family: familyCluster, versions: firstVersion,
		serve: (*call).listContainers},
}

// oldEndpoints are those of /api/atlas/v1.0, which has no versions. The Atlas CLI reads and upgrades an M0 by them.
var oldEndpoints = []endpoint{
	{method: "GET", path: "clusters", serve: (*call).listClusters},
	{method: "GET", path: "clusters/*", serve: (*call).getCluster},
	{method: "DELETE", path: "clusters/*", serve: (*call).deleteCluster},
	{method: "POST", path: "clusters/tenantUpgrade",
		javaMethod: "ApiAtlasLegacyClusterDescriptionResource::upgradeTenantCluster", serve: (*call).upgradeTenant},
}

// find returns the endpoint and the cluster name in the path; one without serve when only the method is wrong; nil
// when there is no such path.
func find(table []endpoint, method, path string) (*endpoint, string) {
	var other *endpoint
	for _, e := range table {
		name, matches := match(e.path, path)
		if !matches {
			continue
		}
		if e.method == method {
			return &e, name
		}
		other = &endpoint{}
	}
	return other, ""
}

// match compares a path with that of an endpoint, and returns the cluster name in it.
func match(pattern, path string) (name string, matches bool) {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return "", false
	}
	if i := slices.Index(want, "*"); i >= 0 {
		unescaped, err := url.PathUnescape(got[i])
		if err != nil || got[i] == "" {
			return "", false
		}
		name, got[i] = unescaped, "*"
	}
	return name, slices.Equal(want, got)
}

func errMethod() *apiError { // the code is assumed
	return failf(http.StatusMethodNotAllowed, "UNEXPECTED_ERROR", "Method not allowed.")
}
