module github.com/atlas-provisioner/atlas-provisioner/tools/release

go 1.26.0
