module github.com/atlas-provisioner/atlas-provisioner/contract/schema/generate

go 1.26.0

replace github.com/atlas-provisioner/atlas-provisioner => ../../..

require (
	github.com/atlas-provisioner/atlas-provisioner v0.0.0-00010101000000-000000000000
	github.com/invopop/jsonschema v0.14.0
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.3
	github.com/stretchr/testify v1.12.1
)

require (
	github.com/bahlo/generic-list-go v0.2.0 // indirect
	github.com/buger/jsonparser v1.1.2 // indirect
	github.com/pb33f/ordered-map/v2 v2.3.1 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	go.yaml.in/yaml/v4 v4.0.0 // indirect
	golang.org/x/text v0.42.0 // indirect
)
