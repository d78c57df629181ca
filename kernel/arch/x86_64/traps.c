/* Exceptions and interrupts, by vector.
 *
 * From user mode an exception becomes a notification of the thread (or ends its process); from the
 * kernel it is expected only in the user access functions, which name the address at which to
 * continue. Everything else in the kernel is a panic. */
#include <capos/abi.h>

#include "arch/cpu.h"
#include "arch/handlers.h"
#include "arch/trap_frame.h"
#include "arch/x86_64/arch.h"
#include "arch/x86_64/asm.h"
#include "core/log.h"
#include "core/panic.h"
#include "machine/interrupts.h"

enum {
	TRAP_DIVIDE = 0,
	TRAP_DEBUG = 1,
	TRAP_NMI = 2,
	TRAP_BREAKPOINT = 3,
	TRAP_OVERFLOW = 4,
	TRAP_BOUND = 5,
	TRAP_ILLEGAL = 6,
	TRAP_NO_FPU = 7,
	TRAP_DOUBLE_FAULT = 8,
	TRAP_STACK = 12,
	TRAP_PROTECTION = 13,
	TRAP_PAGE = 14,
	TRAP_X87 = 16,
	TRAP_ALIGNMENT = 17,
	TRAP_MACHINE_CHECK = 18,
	TRAP_SIMD = 19
};

#define PF_WRITE 2u
#define PF_USER 4u
#define PF_RESERVED 8u
#define PF_FETCH 16u

struct gate {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_middle;
	uint32_t offset_high, reserved;
};

static struct gate idt[256] __attribute__((aligned(16)));
extern char vector_stubs[], return_iretq[];

#define STUB_SIZE 16

static void set_gate(unsigned vector, unsigned ist, unsigned privilege)
{
	uint64_t address = (uint64_t)vector_stubs + STUB_SIZE * vector;
	idt[vector] = (struct gate){
		.offset_low = (uint16_t)address,
		.selector = SELECTOR_KERNEL_CODE,
		.ist = (uint8_t)ist,
		.type = (uint8_t)(0x8e | privilege << 5),
		.offset_middle = (uint16_t)(address >> 16),
		.offset_high = (uint32_t)(address >> 32),
	};
}

void traps_init(void)
{
	if (!idt[0].selector) {
		for (unsigned vector = 0; vector < 256; vector++)
			set_gate(vector, 0, 0);
		set_gate(TRAP_BREAKPOINT, 0, 3);
		set_gate(TRAP_OVERFLOW, 0, 3);
		set_gate(TRAP_NMI, 1, 0);
		set_gate(TRAP_DOUBLE_FAULT, 2, 0);
		set_gate(TRAP_MACHINE_CHECK, 3, 0);
	}
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) pointer = { sizeof idt - 1, (uint64_t)idt };
	__asm__ volatile("lidt %0" : : "m"(pointer));
}

static uint64_t fault_address(void)
{
	uint64_t address;
	__asm__ volatile("mov %%cr2, %0" : "=r"(address));
	return address;
}

static enum fault_access access_of(uint64_t error)
{
	if (error & PF_FETCH)
		return FAULT_EXEC;
	return error & PF_WRITE ? FAULT_WRITE : FAULT_READ;
}

static void page_fault_from_user(struct trap_frame *frame)
{
	uint64_t address = fault_address();
	if (address >= CAPOS_USER_TOP) {
		fault_deliver(
			frame, CAPOS_NOTIFICATION_KIND_PAGE_FAULT, CAPOS_FAULT_MAPPING, address);
		return;
	}
	/* An access of the processor itself for the program, with the kernel's rights. No frame
	 * would make it succeed. (Emulators read the stack so in far returns.) */
	if (!(frame->error & PF_USER)) {
		fault_deliver(
			frame, CAPOS_NOTIFICATION_KIND_PAGE_FAULT, CAPOS_FAULT_PROTECTION, address);
		return;
	}
	if (frame->error & PF_RESERVED)
		panic("page table entry with reserved bits, address %lx", address);
	user_page_fault(frame, address, access_of(frame->error));
}

/* Intel SDM volume 3 section 6.15 describes each. */
static void exception_from_user(struct trap_frame *frame)
{
	switch (frame->vector) {
	case TRAP_PAGE:
		page_fault_from_user(frame);
		return;
	case TRAP_DIVIDE:
		fault_deliver(frame, CAPOS_NOTIFICATION_KIND_DIVIDE, 0, frame->rip);
		return;
	case TRAP_DEBUG:
	case TRAP_BREAKPOINT:
		fault_deliver(frame, CAPOS_NOTIFICATION_KIND_BREAKPOINT, 0, frame->rip);
		return;
	case TRAP_ILLEGAL:
	case TRAP_NO_FPU:
		fault_deliver(frame, CAPOS_NOTIFICATION_KIND_ILLEGAL_INSTRUCTION, 0, frame->rip);
		return;
	case TRAP_X87:
	case TRAP_SIMD:
		fault_deliver(frame, CAPOS_NOTIFICATION_KIND_FLOATING_POINT, 0, frame->rip);
		return;
	case TRAP_ALIGNMENT:
		fault_deliver(frame, CAPOS_NOTIFICATION_KIND_ALIGNMENT, 0, 0);
		return;
	default:
		fault_deliver(frame, CAPOS_NOTIFICATION_KIND_GENERAL_PROTECTION,
			(uint32_t)frame->error, 0);
	}
}

void trap_from_user(struct trap_frame *frame)
{
	if (frame->vector < 32)
		exception_from_user(frame);
	else
		machine_interrupt((unsigned)frame->vector);
}

static _Noreturn void trap_panic(const struct trap_frame *frame, const char *what)
{
	panic_begin(frame->rip);
	log_printf("capos: kernel panic: %s, vector %lu error %lx address %lx", what, frame->vector,
		frame->error, fault_address());
	log_printf("  rip %016lx rsp %016lx rflags %lx cs %lx", frame->rip, frame->rsp,
		frame->rflags, frame->cs);
	log_printf("  rax %016lx rbx %016lx rcx %016lx rdx %016lx", frame->rax, frame->rbx,
		frame->rcx, frame->rdx);
	log_printf("  rsi %016lx rdi %016lx rbp %016lx r8  %016lx", frame->rsi, frame->rdi,
		frame->rbp, frame->r8);
	log_printf("  r9  %016lx r10 %016lx r11 %016lx r12 %016lx", frame->r9, frame->r10,
		frame->r11, frame->r12);
	log_printf("  r13 %016lx r14 %016lx r15 %016lx", frame->r13, frame->r14, frame->r15);
	if (frame->vector == TRAP_MACHINE_CHECK)
		machine_check_print();
	backtrace_print(frame->rip, frame->rbp);
	panic_end();
}

/* The accesses of usercopy.S that may fault. */
struct exception_entry {
	uint64_t access, fixup, nofault;
};
extern const struct exception_entry __ex_table_start[], __ex_table_end[];

/* Where an access continues that failed at rip; 0: there is none there. *nofault tells that its
 * page must not be faulted in. */
static uint64_t user_access_fixup(uint64_t rip, bool *nofault)
{
	for (const struct exception_entry *entry = __ex_table_start; entry < __ex_table_end;
		entry++) {
		if (entry->access == rip) {
			*nofault = entry->nofault;
			return entry->fixup;
		}
	}
	return 0;
}

void trap_from_kernel(struct trap_frame *frame)
{
	if (frame->vector >= 32) {
		machine_interrupt((unsigned)frame->vector);
		return;
	}
	bool nofault = false;
	uint64_t fixup = user_access_fixup(frame->rip, &nofault);
	if (!fixup)
		trap_panic(frame, "exception in the kernel");
	uint64_t address = fault_address();
	if (frame->vector == TRAP_PAGE && address >= CAPOS_USER_TOP)
		trap_panic(frame, "the kernel's own side of a user copy cannot be reached");
	if (frame->vector == TRAP_PAGE && !nofault && address < CAPOS_USER_TOP &&
		kernel_page_fault(address, access_of(frame->error)))
		return;
	frame->rip = fixup;
}

void trap_paranoid(struct trap_frame *frame)
{
	if (frame->vector == TRAP_NMI && panic_begun())
		panic_stop_cpu(frame->rip);
	if (frame->vector == TRAP_NMI)
		trap_panic(frame, "non-maskable interrupt");
	trap_panic(frame, frame->vector == TRAP_DOUBLE_FAULT ? "double fault" : "machine check");
}
