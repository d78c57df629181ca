package syslist

// Outside reports whether a package in dir sees the build tag linux although the target is capos.
// That holds for everything outside the Go root, because modules choose their files by lists of
// systems that lack capos, and package syscall has what linux/amd64's has. Inside the Go root linux
// means the kernel of that name. Both the go command and package go/build decide by this function.
func Outside(goos, goroot, dir string) bool {
	if goos != "capos" {
		return false
	}
	inside := goroot != "" && len(dir) >= len(goroot) && dir[:len(goroot)] == goroot &&
		(len(dir) == len(goroot) || dir[len(goroot)] == '/')
	return !inside
}
