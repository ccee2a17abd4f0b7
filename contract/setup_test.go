package contract_test

import (
	"strings"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

const group = "32b6e34b3d91647abb20e7b8"

// flex is an input that nothing is wrong with.
func flex() contract.ProvisionFlexClusterInput {
	return contract.ProvisionFlexClusterInput{
		GroupID: group, Name: "orders",
		ProviderSettings: contract.ProviderSettings{BackingProviderName: "AWS", RegionName: "US_EAST_1"},
	}
}

func serverless() contract.UpgradeToServerlessInput {
	return contract.UpgradeToServerlessInput{
		GroupID: group, Name: "orders",
		ProviderSettings: contract.ProviderSettings{BackingProviderName: "AWS", RegionName: "US_EAST_1"},
	}
}

// text is n characters, and wide n of two bytes each.
func text(n int) string { return strings.Repeat("x", n) }
func wide(n int) string { return strings.Repeat("é", n) }

func ptr[T any](v T) *T { return &v }
