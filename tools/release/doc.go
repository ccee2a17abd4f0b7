// Package release holds no code: its test makes a release for this machine's
// platform, and checks the archive and what is in it.
package release
