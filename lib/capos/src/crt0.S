/* The program's entry. The kernel enters with
 *
 *   RDI ring page   RSI process id   RDX CapSet page
 *   RSP -> argc, argv, 0, envp, 0, auxiliary vector
 *
 * and FS base on the TLS block it built. capos_start (start.c) takes these and does not return. The
 * first 16 bytes are a struct capos_program_mark. */
#include <capos/abi.h>

	.text
	.globl	_start
	.type	_start, @function
_start:
	.cfi_startproc
	.cfi_undefined rip			/* the outermost frame */
	.short	CAPOS_PROGRAM_MARK_JUMP
	.asciz	"capOS"
	.long	CAPOS_ABI_VERSION
	.long	0
	xorl	%ebp, %ebp
	movq	%rsp, %rcx
	andq	$-16, %rsp
	call	capos_start
	ud2
	.cfi_endproc
	.size	_start, . - _start

/* What tells this executable from one for another system: a note of owner "capOS", type 1, the ABI
 * version. */
	.section .note.capos, "a", @note
	.balign	4
	.long	6				/* name size, NUL included */
	.long	4				/* descriptor size */
	.long	1				/* type: ABI version */
	.asciz	"capOS"
	.balign	4
	.long	CAPOS_ABI_VERSION

	.section .note.GNU-stack, "", @progbits
