package process

import "syscall"

// setOwnGroup gives the program a process group of its own. It also lets the kernel kill the program when the program
// that started it is killed. (The kernel watches the thread that started it. The Go runtime ends no threads but those
// of goroutines that locked theirs.)
func setOwnGroup(attr *syscall.SysProcAttr) {
	attr.Setpgid, attr.Pdeathsig = true, syscall.SIGKILL
}
