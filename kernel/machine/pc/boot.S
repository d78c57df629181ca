/* From the machine's first jump to C.
 *
 * The loader enters in 32-bit protected mode without paging: at boot_entry32 when it knows PVH
 * (QEMU -kernel and other virtual machine monitors), with EBX = physical address of hvm_start_info;
 * at boot_entry_multiboot when it knows Multiboot2 (GRUB, under BIOS and under UEFI alike), with
 * EAX = a magic number and EBX = physical address of the boot information. Static tables map the
 * first 4 GiB at their own addresses (until the jump) and at the direct map, and the first GiB at
 * the kernel's base. kernel_map.c replaces them by exact ones.
 */
#include "arch/x86_64/asm.h"
#include "machine/pc/multiboot.h"
#include "offsets.h"

#define PHYS(symbol) ((symbol) - IMAGE_BASE)
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

	/* Multiboot2 Specification, 3.1.3 to 3.1.12: tags of u16 type, u16 flags (1: may be
	 * ignored), u32 size, at multiples of 8. In the first 32 KiB of the file. For i386: so the
	 * state at the entry is the same whatever firmware the loader came from. */
#define HEADER_MAGIC 0xe85250d6
#define HEADER_I386 0
	.section .text.header, "ax"
	.balign 8
multiboot_header:
	.long HEADER_MAGIC, HEADER_I386, multiboot_header_end - multiboot_header
	.long -(HEADER_MAGIC + HEADER_I386 + (multiboot_header_end - multiboot_header))
	.short 1, 0                             /* give: the memory map */
	.long 12, 6
	.balign 8
	.short 1, 1                             /* give if possible: screen, ACPI root pointers */
	.long 20, 8, 14, 15
	.balign 8
	.short 3, 0                             /* enter there */
	.long 12, PHYS(boot_entry_multiboot)
	.balign 8
	.short 4, 1                             /* text on the screen is welcome */
	.long 12, 2
	.balign 8
	.short 5, 1                             /* so are pixels, of any number */
	.long 20, 0, 0, 0
	.balign 8
	.short 6, 0                             /* modules at whole pages */
	.long 8
	.short 0, 0
	.long 8
multiboot_header_end:

	.section .text.boot, "ax"
	.code32
FUNCTION(boot_entry_multiboot)
	movl %eax, %ebp                         /* the loader's magic number, kept in EBP */
	jmp boot_from_loader
END(boot_entry_multiboot)

FUNCTION(boot_entry32)
	xorl %ebp, %ebp                         /* PVH passes none */
boot_from_loader:
	cli
	cld
	movl %ebx, %esi                         /* the loader's information, kept in ESI */
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

/* EDI = physical address of the top-level table. Uses EAX, ECX, EDX. Paging and long mode are on
 * afterwards; the code segment is still 32-bit. */
FUNCTION(enter_long_mode)
	movl $CR4_PAE, %eax
	movl %eax, %cr4
	movl %edi, %cr3
	movl $MSR_EFER, %ecx
	rdmsr
	orl $EFER_SCE_LME, %eax
	wrmsr
	movl $CR0_PE_MP_ET_NE_WP_PG, %eax
	/* The return address: the stack may not be mapped identically for long. */
	popl %edx
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
	movl %esi, %edi                         /* kernel_start(information, magic) */
	movl %ebp, %esi
	xorl %ebp, %ebp
	call kernel_start
	ud2
END(boot_entry64)

/* Application processors: copied to TRAMPOLINE, entered in real mode by a start-up IPI. All may run
 * it at once. */
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
	/* A relative call of this copy would go elsewhere. */
	movl $PHYS(enter_long_mode), %eax
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
	cmpl $CPUS_MAX, %edi
	jae 2f                                  /* more than the kernel can count */
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
