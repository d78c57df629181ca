// The processor's own division: Go's compiler checks for zero first, so that only assembly reaches
// the fault.

//go:build capos

#include "textflag.h"

// func divide(a, b uint64) uint64
// The instruction itself, without the comparison that compilers put before it.
TEXT ·divide(SB), NOSPLIT, $0-24
	MOVQ a+0(FP), AX
	XORL DX, DX
	DIVQ b+8(FP)
	MOVQ AX, ret+16(FP)
	RET
