//go:build !capos

package capos

import "time"

// registers are those of an operation on an endpoint.
type registers struct {
	RAX, RDI uint64
	Words    [8]uint64
	R14, R15 uint64
}

func granted(name string) uint32 { return 0 }
func clock() int64               { return int64(time.Since(start)) }
func release(id uint32) Error    { return ErrInvokeFailed }

var start = time.Now()

func call(id uint32, method, a0, a1, a2, a3, a4 uintptr) (uintptr, Error) {
	return 0, ErrInvokeFailed
}

func callBlocking(id uint32, method, a0, a1, a2, a3, a4 uintptr) (uintptr, Error) {
	return 0, ErrInvokeFailed
}

func ringAddress() uintptr                         { return 0 }
func enterRing(completions, timeout uintptr) Error { return ErrInvokeFailed }

func operate(opcode uint8, r *registers) Error { return ErrInvokeFailed }
