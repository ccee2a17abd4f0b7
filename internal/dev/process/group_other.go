//go:build unix && !linux

package process

import "syscall"

// setOwnGroup gives the program a process group of its own. The program goes on running when the program that started
// it is killed with SIGKILL: only Linux can end it then.
func setOwnGroup(attr *syscall.SysProcAttr) {
	attr.Setpgid = true
}
