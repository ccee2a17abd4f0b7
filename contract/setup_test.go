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

// The inputs of the other operations that nothing is wrong with.
func update() contract.UpdateFlexClusterInput {
	return contract.UpdateFlexClusterInput{GroupID: group, Name: "orders", Tags: team}
}

func remove() contract.DeleteClusterInput {
	return contract.DeleteClusterInput{GroupID: group, Name: "orders"}
}

func toFlex() contract.UpgradeToFlexInput {
	return contract.UpgradeToFlexInput{GroupID: group, Name: "orders", ProviderSettings: place}
}

func toDedicated() contract.UpgradeToDedicatedInput {
	return contract.UpgradeToDedicatedInput{
		GroupID: group, Name: "orders",
		ProviderSettings: contract.ProviderSettings{
			BackingProviderName: "AWS", RegionName: "US_EAST_1", InstanceSizeName: "M10",
		},
	}
}

func lease() contract.LeaseFlexClusterInput {
	return contract.LeaseFlexClusterInput{GroupID: group, Name: "orders", ProviderSettings: place, LeaseSeconds: 3600}
}

// requests are an input of each operation.
func requests() []contract.Request {
	return []contract.Request{flex(), update(), remove(), toFlex(), toDedicated(), serverless(), lease()}
}

// text is n characters, and wide n of two bytes each.
func text(n int) string { return strings.Repeat("x", n) }
func wide(n int) string { return strings.Repeat("é", n) }

func ptr[T any](v T) *T { return &v }
