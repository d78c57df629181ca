// What the runtime needs in assembly: entering the kernel, reading the clock page, starting threads
// and taking notifications.
//
// Every entry is a register call (see docs/abi.md). It writes no memory and needs no stack, so it
// may be made anywhere, also in a notification handler. The kernel keeps all registers but RAX, RCX
// and R11, so R14 (g) and X15 (zero) survive.

//go:build capos

#include "go_asm.h"
#include "go_tls.h"
#include "textflag.h"

// A register call: cap_enter in the low byte of EAX, the opcode in the next.
#define compactCall	(const_abiSysCapEnter + const_abiOpcodeCompact*256)

// func enterKernel(number, a0, a1, a2, a3, a4, a5 uintptr) uintptr
TEXT runtime·enterKernel<ABIInternal>(SB),NOSPLIT,$0-64
	MOVQ	DI, DX	// a2
	MOVQ	SI, R10	// a3
	MOVQ	BX, DI	// a0
	MOVQ	CX, SI	// a1
	SYSCALL
	RET

// func enterEndpoint(r *endpointRegisters)
// An operation on an endpoint. It takes and changes nearly every register, among them R14, which
// callers of this ABI expect to be changed.
TEXT runtime·enterEndpoint(SB),NOSPLIT,$0-8
	MOVQ	r+0(FP), CX
	MOVQ	endpointRegisters_operation(CX), AX
	MOVQ	endpointRegisters_target(CX), DI
	MOVQ	(endpointRegisters_words+0)(CX), SI
	MOVQ	(endpointRegisters_words+8)(CX), DX
	MOVQ	(endpointRegisters_words+16)(CX), R10
	MOVQ	(endpointRegisters_words+24)(CX), R8
	MOVQ	(endpointRegisters_words+32)(CX), R9
	MOVQ	(endpointRegisters_words+40)(CX), BX
	MOVQ	(endpointRegisters_words+48)(CX), R12
	MOVQ	(endpointRegisters_words+56)(CX), R13
	MOVQ	endpointRegisters_r14(CX), R14
	MOVQ	endpointRegisters_r15(CX), R15
	SYSCALL
	MOVQ	r+0(FP), CX
	MOVQ	AX, endpointRegisters_operation(CX)
	MOVQ	DI, endpointRegisters_target(CX)
	MOVQ	SI, (endpointRegisters_words+0)(CX)
	MOVQ	DX, (endpointRegisters_words+8)(CX)
	MOVQ	R10, (endpointRegisters_words+16)(CX)
	MOVQ	R8, (endpointRegisters_words+24)(CX)
	MOVQ	R9, (endpointRegisters_words+32)(CX)
	MOVQ	BX, (endpointRegisters_words+40)(CX)
	MOVQ	R12, (endpointRegisters_words+48)(CX)
	MOVQ	R13, (endpointRegisters_words+56)(CX)
	MOVQ	R14, endpointRegisters_r14(CX)
	RET

// func exit(code int32)
TEXT runtime·exit(SB),NOSPLIT|NOFRAME,$0-4
	MOVL	code+0(FP), DI
	MOVL	$const_abiExitScopeProcess, SI
	MOVL	$const_abiSysExit, AX
	SYSCALL
	INT	$3
	JMP	0(PC)

// func exitThread(wait *atomic.Uint32)
// Once *wait is zero the stack may be gone.
TEXT runtime·exitThread(SB),NOSPLIT|NOFRAME,$0-8
	MOVQ	wait+0(FP), AX
	MOVL	runtime·caps+abiCapabilities_threadControl(SB), DI
	MOVQ	$(const_abiThreadControlExitThread<<32), CX
	ORQ	CX, DI
	MOVL	$0, (AX)
	MOVL	$compactCall, AX
	SYSCALL
	INT	$3
	JMP	0(PC)

// func settls(): DI = address of m.tls. The linker puts g at -8(FS), which must be the first word
// there. A program without the capability for it ends here, before osinit looks for the others.
TEXT runtime·settls(SB),NOSPLIT,$32
	LEAQ	8(DI), SI
	MOVL	runtime·caps+abiCapabilities_threadControl(SB), DI
	TESTL	DI, DI
	JZ	fail
	MOVQ	$(const_abiThreadControlSetFsBase<<32), CX
	ORQ	CX, DI
	MOVL	$compactCall, AX
	SYSCALL
	TESTQ	AX, AX
	JZ	2(PC)
	INT	$3
	RET
fail:
	MOVQ	$2, 0(SP)
	MOVQ	runtime·noThreadControl+0(SB), AX
	MOVQ	AX, 8(SP)
	MOVQ	runtime·noThreadControl+8(SB), AX
	MOVL	AX, 16(SP)
	CALL	runtime·write1(SB)
	MOVL	$2, 0(SP)
	CALL	runtime·exit(SB)
	INT	$3
	JMP	0(PC)

// func write1(fd uintptr, p unsafe.Pointer, n int32) int32
// Called by print and by the code that reports crashes: no stack, no allocation, any thread.
TEXT runtime·write1(SB),NOSPLIT|NOFRAME,$0-28
	MOVQ	fd+0(FP), AX
	CMPQ	AX, $2
	JHI	descriptor
	LEAQ	runtime·textConsoles(SB), DX
	MOVL	(DX)(AX*4), DI
	TESTL	DI, DI
	JNZ	write
descriptor:
	JMP	runtime·writeDescriptor(SB)
write:
	MOVQ	$(const_abiConsoleWrite<<32), CX
	ORQ	CX, DI
	MOVQ	p+8(FP), SI
	MOVLQSX	n+16(FP), DX
	MOVL	$compactCall, AX
	SYSCALL
	TESTQ	AX, AX
	JNZ	fail
	MOVL	n+16(FP), AX
	MOVL	AX, ret+24(FP)
	RET
fail:
	MOVL	$-const__EBADF, ret+24(FP)
	RET

// The runtime itself opens no files.

// func open(name *byte, mode, perm int32) int32
TEXT runtime·open(SB),NOSPLIT,$0-20
	MOVL	$-1, ret+16(FP)
	RET

// func usleep(usec uint32)
TEXT runtime·usleep(SB),NOSPLIT,$0-4
	MOVL	usec+0(FP), SI
	IMULQ	$1000, SI
	MOVL	runtime·caps+abiCapabilities_timer(SB), DI
	MOVQ	$(const_abiTimerSleep<<32), CX
	ORQ	CX, DI
	MOVL	$compactCall, AX
	SYSCALL
	RET

// func nanotime1() int64
// The kernel makes the sequence odd while it writes and even again after. A scale of zero means
// that the counter cannot be used on this machine, and the kernel has to be asked.
TEXT runtime·nanotime1(SB),NOSPLIT,$0-8
	MOVQ	runtime·clockPage(SB), DI
again:
	MOVL	abiClockPage_sequence(DI), SI
	TESTL	$1, SI
	JNZ	wait
	MOVQ	abiClockPage_nsPerTick(DI), CX
	TESTQ	CX, CX
	JZ	ask
	LFENCE
	RDTSC
	SHLQ	$32, DX
	ORQ	DX, AX
	SUBQ	abiClockPage_tscBase(DI), AX
	MULQ	CX
	SHRQ	$32, DX, AX
	ADDQ	abiClockPage_nsBase(DI), AX
	CMPL	abiClockPage_sequence(DI), SI
	JNE	again
	MOVQ	AX, ret+0(FP)
	RET
wait:
	PAUSE
	JMP	again
ask:
	JMP	askMonotonic<>(SB)

// func walltime() (sec int64, nsec int32)
TEXT runtime·walltime(SB),NOSPLIT,$0-12
	MOVQ	runtime·clockPage(SB), DI
again:
	MOVL	abiClockPage_sequence(DI), SI
	TESTL	$1, SI
	JNZ	wait
	MOVQ	abiClockPage_nsPerTick(DI), CX
	TESTQ	CX, CX
	JZ	ask
	LFENCE
	RDTSC
	SHLQ	$32, DX
	ORQ	DX, AX
	SUBQ	abiClockPage_tscBase(DI), AX
	MULQ	CX
	SHRQ	$32, DX, AX
	ADDQ	abiClockPage_nsBase(DI), AX
	ADDQ	abiClockPage_wallOffset(DI), AX
	CMPL	abiClockPage_sequence(DI), SI
	JNE	again
	XORL	DX, DX
	MOVQ	$1000000000, CX
	DIVQ	CX
	MOVQ	AX, sec+0(FP)
	MOVL	DX, nsec+8(FP)
	RET
wait:
	PAUSE
	JMP	again
ask:
	JMP	askWall<>(SB)

// Timer.now writes two words to memory, and the first is the time.
TEXT askMonotonic<>(SB),NOSPLIT,$16-8
	LEAQ	reading-16(SP), SI
	MOVL	runtime·caps+abiCapabilities_timer(SB), DI
	MOVQ	$(const_abiTimerNow<<32), CX
	ORQ	CX, DI
	MOVL	$compactCall, AX
	SYSCALL
	TESTQ	AX, AX
	JZ	2(PC)
	INT	$3
	MOVQ	reading-16(SP), AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT askWall<>(SB),NOSPLIT,$8-12
	CALL	askMonotonic<>(SB)
	MOVQ	0(SP), AX
	MOVQ	runtime·clockPage(SB), DI
	ADDQ	abiClockPage_wallOffset(DI), AX
	XORL	DX, DX
	MOVQ	$1000000000, CX
	DIVQ	CX
	MOVQ	AX, sec+0(FP)
	MOVL	DX, nsec+8(FP)
	RET

// The entry of every thread but the first: DI = m, SI = thread id, DX = its ring page, FS base set,
// SP = top of the g0 stack, everything else zero.
TEXT runtime·threadStart(SB),NOSPLIT|TOPFRAME|NOFRAME,$0
	MOVQ	SI, m_procid(DI)
	MOVQ	DX, (m_mOS+mOS_ring)(DI)
	MOVQ	m_g0(DI), R14
	MOVQ	DI, g_m(R14)
	get_tls(CX)
	MOVQ	R14, g(CX)
	PXOR	X15, X15
	CALL	runtime·stackcheck(SB)
	CALL	runtime·mstart(SB)
	INT	$3
	JMP	0(PC)

// The notification handler: DI = kind, SI = address of the ThreadState, on the gsignal stack. The
// interrupted code may have been any, so g comes from the thread pointer. The thread goes on from
// the ThreadState, which the handler may have edited.
TEXT runtime·sigtramp(SB),NOSPLIT|TOPFRAME|NOFRAME,$0
	NOP	SP		// the frame is not what vet would expect
	ADJSP	$24		// spill slots of the call, below them the ThreadState's address
	MOVQ	SI, 16(SP)
	get_tls(R12)
	MOVQ	g(R12), R14
	PXOR	X15, X15
	MOVQ	DI, AX
	MOVQ	SI, BX
	CALL	runtime·handleNotification<ABIInternal>(SB)
	MOVQ	16(SP), SI
	MOVL	runtime·caps+abiCapabilities_threadControl(SB), DI
	MOVQ	$(const_abiThreadControlResume<<32), CX
	ORQ	CX, DI
	MOVL	$compactCall, AX
	SYSCALL
	INT	$3
	ADJSP	$-24
	JMP	0(PC)

// func sigfwd(fn uintptr, sig uint32, info *siginfo, ctx unsafe.Pointer)
// All handlers are Go's, so there is none to forward to.
TEXT runtime·sigfwd(SB),NOSPLIT,$0-32
	INT	$3
	RET

// func read(fd int32, p unsafe.Pointer, n int32) int32
TEXT runtime·read(SB),NOSPLIT|WRAPPER,$0-28
	JMP	runtime·readDescriptor(SB)

// func closefd(fd int32) int32
TEXT runtime·closefd(SB),NOSPLIT|WRAPPER,$0-12
	JMP	runtime·closeDescriptor(SB)

// func mmap(addr unsafe.Pointer, n uintptr, prot, flags, fd int32, off uint32) (p unsafe.Pointer,
// err int)
TEXT runtime·mmap(SB),NOSPLIT|WRAPPER,$0-48
	JMP	runtime·mapPages(SB)

// func munmap(addr unsafe.Pointer, n uintptr)
TEXT runtime·munmap(SB),NOSPLIT|WRAPPER,$0-16
	JMP	runtime·unmapPages(SB)
