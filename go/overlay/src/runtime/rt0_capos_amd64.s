// The first instructions of a capOS program.

//go:build capos

#include "go_asm.h"
#include "textflag.h"

// The kernel enters with RDX = address of the CapSet page and, at RSP, the argument count, the
// arguments and the environment as _rt0_amd64 expects them. The CapIds are read at once, because
// the runtime sets the thread pointer next, which takes a capability. The thread pointer is 0 here,
// so only nosplit code may run that does not use g.
//
// The first 16 bytes are an abiProgramMark: a jump over it, "capOS", the version of the interface.
TEXT _rt0_amd64_capos(SB),NOSPLIT|NOFRAME,$0
	WORD	$const_abiProgramMarkJump
	LONG	$0x4f706163 // "capO"
	WORD	$0x0053     // "S", NUL
	LONG	$const_abiAbiVersion
	LONG	$0
	MOVQ	DX, runtime·capSetAddress(SB)
	PXOR	X15, X15
	XORL	R14, R14
	CALL	runtime·findCapabilities<ABIInternal>(SB)
	JMP	_rt0_amd64(SB)

TEXT _rt0_amd64_capos_lib(SB),NOSPLIT|NOFRAME,$0
	INT	$3
	JMP	0(PC)
