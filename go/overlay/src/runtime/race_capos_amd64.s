// The way from the race detector, which is C, to the runtime.

//go:build capos && race

#include "go_asm.h"
#include "go_tls.h"
#include "textflag.h"
#include "cgo/abi_amd64.h"

// uint64_t racehostthunk(uint64_t operation, uint64_t a, uint64_t b), in the C ABI.
// The detector runs on the stack of g0 or gsignal, while g may be the goroutine that called it. The
// call is made as g0, or as gsignal on its stack, and g is afterwards what it was.
TEXT runtime·racehostthunk(SB),NOSPLIT|NOFRAME,$0-0
	PUSH_REGS_HOST_TO_ABI0()
	get_tls(R12)
	MOVQ	g(R12), R15
	MOVQ	g_m(R15), R13
	CMPQ	R15, m_gsignal(R13)
	JEQ	call
	MOVQ	m_g0(R13), R14
	MOVQ	R14, g(R12)
call:
	PUSHQ	R15
	ADJSP	$32
	MOVQ	DI, 0(SP)
	MOVQ	SI, 8(SP)
	MOVQ	DX, 16(SP)
	CALL	runtime·racehost(SB)
	MOVQ	24(SP), AX
	ADJSP	$-32
	POPQ	R15
	get_tls(R12)
	MOVQ	R15, g(R12)
	POP_REGS_HOST_TO_ABI0()
	RET
