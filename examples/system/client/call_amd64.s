// The operation endpointCall of the kernel, which takes more registers than a call of Go: see
// docs/abi.md. The thread waits in it, so it is for servers that answer soon.

#include "textflag.h"

// func endpointCall(facet uint64, words *[8]uint64, deadlineNs uint64) int64
TEXT ·endpointCall(SB), NOSPLIT, $8-32
	MOVQ	words+8(FP), AX
	MOVQ	0(AX), SI
	MOVQ	8(AX), DX
	MOVQ	16(AX), R10
	MOVQ	24(AX), R8
	MOVQ	32(AX), R9
	MOVQ	40(AX), BX
	MOVQ	48(AX), R12
	MOVQ	56(AX), R13
	MOVQ	facet+0(FP), DI
	MOVQ	deadlineNs+16(FP), R14
	XORL	R15, R15
	MOVL	$0x901, AX	// the system call cap_enter, with the opcode in the next byte
	SYSCALL
	MOVQ	AX, ret+24(FP)
	MOVQ	words+8(FP), CX
	MOVQ	SI, 0(CX)
	MOVQ	DX, 8(CX)
	MOVQ	R10, 16(CX)
	MOVQ	R8, 24(CX)
	MOVQ	R9, 32(CX)
	MOVQ	BX, 40(CX)
	MOVQ	R12, 48(CX)
	MOVQ	R13, 56(CX)
	RET
