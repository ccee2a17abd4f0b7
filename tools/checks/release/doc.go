// Package release holds no code. Its test makes a release for this machine's platform, and checks the archive and
// what is in it.
package release
