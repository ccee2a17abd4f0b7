// Package version tells which build this is.
package version

// Version is set by the linker:
//
//	go build -ldflags "-X github.com/atlas-provisioner/atlas-provisioner/internal/version.Version=v1.2.3"
var Version = "dev"
