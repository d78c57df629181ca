/* The instructions that touch user memory. Each that may fault has an entry in the exception table:
 * {address, address at which to continue, nonzero when the page must not be faulted in};
 * user_access_fixup() in traps.c searches it. The string instructions keep their progress in
 * registers, so that they simply continue after a resolved fault. */

.macro user_access access, fixup, nofault=0
	.pushsection __ex_table, "a"
	.balign 8
	.quad \access, \fixup, \nofault
	.popsection
.endm

.text

/* bool user_copy(void *to, const void *from, size_t size): false when a byte could not be reached.
 * One iteration per 8 bytes. */
.globl user_copy
.type user_copy, @function
user_copy:
	movq %rdx, %rcx			/* rdi to, rsi from, rdx size */
	shrq $3, %rcx
1:	rep movsq
	testb $7, %dl
	jz 7f
	testb $4, %dl
	jz 3f
2:	movsl
3:	testb $2, %dl
	jz 5f
4:	movsw
5:	testb $1, %dl
	jz 7f
6:	movsb
7:	movl $1, %eax
	ret
8:	xorl %eax, %eax
	ret
	user_access 1b, 8b
	user_access 2b, 8b
	user_access 4b, 8b
	user_access 6b, 8b
.size user_copy, . - user_copy

/* bool user_load_u32_nofault(const void *from, uint32_t *value) */
.globl user_load_u32_nofault
.type user_load_u32_nofault, @function
user_load_u32_nofault:
1:	movl (%rdi), %ecx
	movl %ecx, (%rsi)
	movl $1, %eax
	ret
2:	xorl %eax, %eax
	ret
	user_access 1b, 2b, 1
.size user_load_u32_nofault, . - user_load_u32_nofault

.section .note.GNU-stack, "", @progbits
