package process

import "syscall"

// ownGroup also has the kernel kill the program when who started it is killed. (To
// the kernel that is when the thread ends that started the program; the Go
// runtime ends none but those of goroutines that locked theirs.)
func ownGroup(attr *syscall.SysProcAttr) {
	attr.Setpgid, attr.Pdeathsig = true, syscall.SIGKILL
}
