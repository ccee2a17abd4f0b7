package activities

import (
	"net/http"
	"strings"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// again closes most advice: a run that failed is not taken up by itself.
const again = ", then start the workflow again"

// adviceByCode is what to do about a code that needs a person.
var adviceByCode = map[string]string{
	atlasclient.CodeNoPaymentInformationFound: "add a payment method to the organization" + again,
	"ACCOUNT_SUSPENDED":                       "settle the organization's account with MongoDB" + again,
	atlasclient.CodeIPAddressNotOnAccessList: "add the worker's address to the API access list of its key or " +
		"service account" + again,
	"ATLAS_RESOURCE_POLICIES_VIOLATION_NOT_AUTHORIZED": "ask for what the organization's resource policies " +
		"allow" + again,
	atlasclient.CodeNotInGroup: "give the worker's key or service account the role Project Owner in this project, " +
		"or correct groupId" + again,
	"GROUP_NOT_FOUND":             "correct groupId" + again,
	"OUT_OF_CAPACITY":             "choose another region, or wait" + again,
	"NO_CAPACITY":                 "choose another region, or wait" + again,
	"REGION_UNAVAILABLE":          "choose another region" + again,
	"INVALID_REGION":              "choose a region that Atlas offers for this provider" + again,
	"INVALID_PROVIDER":            "choose a provider that Atlas offers" + again,
	"CLUSTER_NAME_PREFIX_INVALID": "choose another name: its first 23 characters make the host name" + again,
	"DUPLICATE_CLUSTER_NAME_PREFIX": "choose a name whose first 23 characters no other cluster of the " +
		"project has" + again,
	atlasclient.CodeClusterNotFound: "check that the project has a cluster of this name" + again,
	atlasclient.CodeNonFlexInFlexAPI: "this operation is for Flex clusters, and the cluster of this name is of " +
		"another kind: correct the name, or choose another operation" + again,
	atlasclient.CodeVersionGone: "Atlas has retired this endpoint: look for a newer release of atlas-provisioner",
}

// adviceByStatus is for codes that are not known.
var adviceByStatus = map[int]string{
	http.StatusUnauthorized: "check the worker's Atlas credential (MONGODB_ATLAS_…)" + again,
	http.StatusForbidden:    "give the worker's key or service account the role Project Owner in this project" + again,
}

// advice is the next step for whoever reads the failure. An answer without a code is not taken for Atlas's own, so that
// a firewall's 403 does not send anybody to the roles of a project. A 401 to a wrong key can lack the code.
func advice(e *atlasclient.Error) string {
	if !e.FromAtlas && e.Status != http.StatusUnauthorized {
		return "this answer names no errorCode, as those of Atlas do: look for a proxy or firewall between the " +
			"worker and Atlas, and check MONGODB_ATLAS_BASE_URL" + again
	}
	isServerless := strings.HasSuffix(e.Path, "/tenantUpgradeToServerless") || strings.Contains(e.Path, "/serverless/")
	if e.ErrorCode == atlasclient.CodeVersionGone && isServerless {
		return "Atlas has retired the upgrade to serverless: upgrade the cluster to Flex, with the workflow " +
			contract.UpgradeToFlex + " (starter upgrade-to-flex)"
	}
	if s, ok := adviceByCode[e.ErrorCode]; ok {
		return s
	}
	if s, ok := adviceByStatus[e.Status]; ok {
		return s
	}
	return "correct the request" + again
}
