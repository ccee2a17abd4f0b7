// Package version tells which build this is.
package version

// Version and Commit are set by the linker:
//
//	go build -ldflags "-X github.com/atlas-provisioner/atlas-provisioner/internal/version.Version=v1.2.3
//	  -X github.com/atlas-provisioner/atlas-provisioner/internal/version.Commit=0123abcd"
var (
	Version = "dev"
	Commit  = ""
)

// String is both, for --version.
func String() string {
	if Commit == "" {
		return Version
	}
	return Version + " (" + Commit + ")"
}
