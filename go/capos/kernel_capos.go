//go:build capos

package capos

import "syscall"

type registers = syscall.CapRegisters

func granted(name string) uint32 { return syscall.Capability(name) }
func clock() int64               { return syscall.CapClock() }
func release(id uint32) Error    { return failure(syscall.CapRelease(id)) }

// call makes a call in compact form, of a method that does not wait.
//
//go:uintptrescapes
func call(id uint32, method, a0, a1, a2, a3, a4 uintptr) (uintptr, Error) {
	return answered(syscall.CapCall(id, method, a0, a1, a2, a3, a4))
}

//go:uintptrescapes
func callBlocking(id uint32, method, a0, a1, a2, a3, a4 uintptr) (uintptr, Error) {
	return answered(syscall.CapCallBlocking(id, method, a0, a1, a2, a3, a4))
}

// operate does an operation on an endpoint.
func operate(opcode uint8, r *registers) Error {
	syscall.CapEndpoint(opcode, r)
	return failure(uintptr(r.RAX))
}

// ringAddress is where the ring of the calling thread is.
func ringAddress() uintptr { return syscall.CapRing() }

// enterRing has the kernel look at the ring of the calling thread.
func enterRing(completions, timeout uintptr) Error {
	return failure(syscall.CapEnter(completions, timeout))
}

func failure(answer uintptr) Error {
	if answer > ^uintptr(4095) {
		return Error(-answer)
	}
	return 0
}

func answered(answer uintptr) (uintptr, Error) {
	if e := failure(answer); e != 0 {
		return 0, e
	}
	return answer, 0
}

// Grants are the capabilities of a program that is about to be started, by their names there: for
// SysProcAttr.Grants of package syscall. The zero Capability takes one away that each child would
// get.
func Grants(named map[string]Held) *syscall.SysProcAttr {
	grants := make(map[string]uint32, len(named))
	for name, held := range named {
		grants[name] = held.ID()
	}
	return &syscall.SysProcAttr{Grants: grants}
}
