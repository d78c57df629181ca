/* From the machine's first jump to C.
 *
 * The loader (QEMU -kernel, or any monitor that knows PVH) enters boot_entry32 in 32-bit protected mode without
 * paging, EBX = physical address of hvm_start_info (Xen public/arch-x86/hvm/start_info.h). Static tables map the first 4 GiB
 * three times: where they are (identity, until the jump), at the direct map, and the first
 * GiB at the kernel's own base. kernel_map.c replaces them by tight ones.
 */
#include "arch/x86_64/asm.h"

#define PHYS(symbol) ((symbol) - KERNEL_BASE)
#define PTE_PRESENT_WRITE 3
#define PTE_LARGE 0x80
#define CR0_PE_MP_ET_NE_WP_PG 0x80010033
#define CR4_PAE 0x20
#define MSR_EFER 0xc0000080
#define SELECTOR_TRAMPOLINE32 0x18
#define EFER_SCE_LME 0x101

	/* ELF note "Xen", type 18 (XEN_ELFNOTE_PHYS32_ENTRY). */
	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 8, 18
	.asciz "Xen"
	.quad PHYS(boot_entry32)

	.section .text.boot, "ax"
	.code32
FUNCTION(boot_entry32)
	cli
	cld
	movl %ebx, %esi                         /* start_info, kept in ESI */
	movl $PHYS(boot_stack_end), %esp

	/* Four page directories: 4 GiB in 2 MiB pages. */
	movl $PHYS(boot_pd), %edi
	movl $(PTE_LARGE | PTE_PRESENT_WRITE), %eax
	xorl %edx, %edx
	movl $2048, %ecx
1:	movl %eax, (%edi)
	movl %edx, 4(%edi)
	addl $0x200000, %eax
	addl $8, %edi
	decl %ecx
	jnz 1b

	movl $PHYS(boot_pdpt), %edi
	movl $(PHYS(boot_pd) + PTE_PRESENT_WRITE), %eax
	movl $4, %ecx
1:	movl %eax, (%edi)
	addl $4096, %eax
	addl $8, %edi
	decl %ecx
	jnz 1b
	movl $(PHYS(boot_pd) + PTE_PRESENT_WRITE), PHYS(boot_pdpt_high) + 510 * 8

	movl $(PHYS(boot_pdpt) + PTE_PRESENT_WRITE), PHYS(boot_pml4)
	movl $(PHYS(boot_pdpt) + PTE_PRESENT_WRITE), PHYS(boot_pml4) + 256 * 8
	movl $(PHYS(boot_pdpt_high) + PTE_PRESENT_WRITE), PHYS(boot_pml4) + 511 * 8

	movl $PHYS(boot_pml4), %edi
	call enter_long_mode
	ljmp $SELECTOR_KERNEL_CODE, $PHYS(boot_entry64)
END(boot_entry32)

/* EDI = physical address of the top-level table. Uses EAX, ECX, EDX. Paging and long mode are on afterwards; the code segment is still 32-bit. */
FUNCTION(enter_long_mode)
	movl $CR4_PAE, %eax
	movl %eax, %cr4
	movl %edi, %cr3
	movl $MSR_EFER, %ecx
	rdmsr
	orl $EFER_SCE_LME, %eax
	wrmsr
	movl $CR0_PE_MP_ET_NE_WP_PG, %eax
	popl %edx                               /* the return address: the stack may not be mapped identically for long */
	movl %eax, %cr0
	lgdt PHYS(boot_gdt_pointer)
	jmp *%edx
END(enter_long_mode)

	.code64
FUNCTION(boot_entry64)
	movabsq $1f, %rax
	jmp *%rax
1:	movl $SELECTOR_KERNEL_DATA, %eax
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %fs
	movl %eax, %gs
	leaq boot_stack_end(%rip), %rsp
	xorl %ebp, %ebp
	movl %esi, %edi                         /* kernel_start(start_info) */
	call kernel_start
	ud2
END(boot_entry64)

/* Application processors: copied to TRAMPOLINE, entered in real mode by a start-up IPI. All may run it at once. */
	.code16
	.globl trampoline_start, trampoline_end
trampoline_start:
	cli
	cld
	movw %cs, %ax
	movw %ax, %ds
	lgdtl (trampoline_gdt_pointer - trampoline_start)
	movl %cr0, %eax
	orl $1, %eax
	movl %eax, %cr0
	ljmpl $SELECTOR_TRAMPOLINE32, $(TRAMPOLINE + trampoline32 - trampoline_start)
	.code32
trampoline32:
	movw $SELECTOR_KERNEL_DATA, %ax
	movw %ax, %ds
	movw %ax, %ss
	/* A stack of one word per processor, before any has a number: the number is taken first. */
	movl $1, %ebp
	lock xaddl %ebp, PHYS(ap_next)
	movl $(TRAMPOLINE + 0x800), %esp
	movl %ebp, %eax
	shll $2, %eax
	addl %eax, %esp                         /* enter_long_mode pops one word */
	addl $4, %esp
	movl $PHYS(boot_pml4), %edi
	movl $PHYS(enter_long_mode), %eax       /* not where this copy would reach it by a relative call */
	call *%eax
	ljmp $SELECTOR_KERNEL_CODE, $PHYS(ap_entry64)
	.balign 8
trampoline_gdt:
	.quad 0
	.quad 0x00af9b000000ffff                /* 0x08: 64-bit code */
	.quad 0x00cf93000000ffff                /* 0x10: data */
	.quad 0x00cf9b000000ffff                /* 0x18: 32-bit code */
trampoline_gdt_pointer:
	.word 31
	.long TRAMPOLINE + trampoline_gdt - trampoline_start
trampoline_end:

	.code64
FUNCTION(ap_entry64)
	movabsq $1f, %rax
	jmp *%rax
1:	movl $SELECTOR_KERNEL_DATA, %eax
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %fs
	movl %eax, %gs
	movl %ebp, %edi
	xorl %ebp, %ebp
	movq ap_stacks(,%rdi,8), %rsp           /* highest address of each stack */
	testq %rsp, %rsp
	jz 2f
	call ap_start                           /* ap_start(number) */
2:	cli
	hlt
	jmp 2b
END(ap_entry64)

	.section .rodata
	.balign 8
boot_gdt:
	.quad 0
	.quad 0x00af9b000000ffff                /* 0x08: 64-bit code */
	.quad 0x00cf93000000ffff                /* 0x10: data */
	.quad 0x00cf9b000000ffff                /* 0x18: 32-bit code, for the way in */
	.globl boot_gdt_pointer
boot_gdt_pointer:
	.word 31
	.long PHYS(boot_gdt)
	.long 0

	.data
	.balign 4
	.globl ap_next
ap_next: .long 1                                /* number of the next processor to arrive */

	.bss
	.balign 4096
	.globl boot_pml4, boot_pd
boot_pml4: .skip 4096
boot_pdpt: .skip 4096
boot_pdpt_high: .skip 4096
boot_pd: .skip 4096 * 4
	.balign 16
boot_stack: .skip 16384
boot_stack_end:

	.section .note.GNU-stack, "", @progbits
