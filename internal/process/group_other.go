//go:build unix && !linux

package process

import "syscall"

// ownGroup leaves the program running when the starter itself is killed with
// SIGKILL: only Linux can stop it then.
func ownGroup(attr *syscall.SysProcAttr) {
	attr.Setpgid = true
}
