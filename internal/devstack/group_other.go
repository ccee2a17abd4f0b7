//go:build unix && !linux

package main

import "syscall"

// ownGroup leaves the program running when devstack itself is killed with
// SIGKILL: only Linux can stop it then.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
