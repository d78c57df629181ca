/* What a program can do with the processor alone: privileged instructions, software interrupts,
 * segment registers, far transfers, odd states at SYSCALL. Each must fault in the program or do
 * nothing, and leave the kernel unchanged. */
#include <cpuid.h>

#include "support.h"

#define KIND(name) CAPOS_NOTIFICATION_KIND_##name

/* ---- running a few bytes of code: they fault, or fall into the UD2 after them ---- */

static uint8_t *code;        /* a page below 4 GiB */
uint64_t back_rip, back_rsp; /* not static: assembly stores them */
static volatile uint32_t seen_kind;
static volatile uint64_t seen_rip;

static void come_back(uint32_t kind, struct capos_thread_state *state)
{
	seen_kind = kind;
	seen_rip = state->rip;
	state->rip = back_rip;
	state->rsp = back_rsp;
	state->rflags = 0x202;
}

/* Jumps to the address with RDI = argument and an unusual value in every other register. */
static void jump_to(uint64_t address, uint64_t argument)
{
	uint64_t target = address;
	__asm__ volatile("pushq %%rbp\n\tmovq %%rsp, back_rsp(%%rip)\n\t"
			 "leaq 1f(%%rip), %%rcx\n\tmovq %%rcx, back_rip(%%rip)\n\t"
			 "xorl %%eax, %%eax\n\txorl %%edx, %%edx\n\t"
			 "movl $0x10, %%ecx\n\tjmp *%%rsi\n"
			 "1:\tpopq %%rbp"
		: "+D"(argument), "+S"(target)
		:
		: "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
		"memory", "cc");
}

static void put_code(const uint8_t *bytes, size_t size)
{
	OK(vm_protect((uint64_t)code, PAGE, WRITE));
	memset(code, 0xcc, 64);
	memcpy(code, bytes, size);
	code[size] = 0x0f; /* UD2 */
	code[size + 1] = 0x0b;
	OK(vm_protect((uint64_t)code, PAGE, EXEC));
}

/* The kind of fault that the bytes raise; 0 when they ran to the end. */
static uint32_t run_bytes(const uint8_t *bytes, size_t size, uint64_t argument)
{
	put_code(bytes, size);
	seen_kind = 0;
	jump_to((uint64_t)code, argument);
	return seen_kind == KIND(ILLEGAL_INSTRUCTION) && seen_rip == (uint64_t)code + size
		? 0
		: seen_kind;
}

/* ---- privileged instructions ---- */

struct instruction {
	const char *name;
	uint8_t size, bytes[7];
};

static uint8_t scratch[64] __attribute__((aligned(64)));

static bool denied(uint32_t kind)
{
	return kind == KIND(GENERAL_PROTECTION) || kind == KIND(ILLEGAL_INSTRUCTION);
}

/* Some emulators read the stack of a far return with the kernel's rights, which SMAP forbids. */
static bool return_fails(uint32_t kind)
{
	return denied(kind) || kind == KIND(PAGE_FAULT);
}

static const struct instruction privileged[] = {
	{ "hlt", 1, { 0xf4 } },
	{ "cli", 1, { 0xfa } },
	{ "sti", 1, { 0xfb } },
	{ "in al, dx", 1, { 0xec } },
	{ "in eax, dx", 1, { 0xed } },
	{ "in al, 60h", 2, { 0xe4, 0x60 } },
	{ "out dx, al", 1, { 0xee } },
	{ "out 80h, al", 2, { 0xe6, 0x80 } },
	{ "insb", 1, { 0x6c } },
	{ "outsb", 1, { 0x6e } },
	{ "rep insb", 2, { 0xf3, 0x6c } },
	{ "mov rax, cr0", 3, { 0x0f, 0x20, 0xc0 } },
	{ "mov cr0, rax", 3, { 0x0f, 0x22, 0xc0 } },
	{ "mov rax, cr2", 3, { 0x0f, 0x20, 0xd0 } },
	{ "mov cr2, rax", 3, { 0x0f, 0x22, 0xd0 } },
	{ "mov rax, cr3", 3, { 0x0f, 0x20, 0xd8 } },
	{ "mov cr3, rax", 3, { 0x0f, 0x22, 0xd8 } },
	{ "mov rax, cr4", 3, { 0x0f, 0x20, 0xe0 } },
	{ "mov cr4, rax", 3, { 0x0f, 0x22, 0xe0 } },
	{ "mov rax, cr8", 4, { 0x44, 0x0f, 0x20, 0xc0 } },
	{ "mov cr8, rax", 4, { 0x44, 0x0f, 0x22, 0xc0 } },
	{ "mov rax, dr0", 3, { 0x0f, 0x21, 0xc0 } },
	{ "mov dr7, rax", 3, { 0x0f, 0x23, 0xf8 } },
	{ "rdmsr", 2, { 0x0f, 0x32 } },
	{ "wrmsr", 2, { 0x0f, 0x30 } },
	{ "rdpmc", 2, { 0x0f, 0x33 } },
	{ "lgdt", 3, { 0x0f, 0x01, 0x17 } },
	{ "lidt", 3, { 0x0f, 0x01, 0x1f } },
	{ "lldt", 3, { 0x0f, 0x00, 0xd0 } },
	{ "ltr", 3, { 0x0f, 0x00, 0xd8 } },
	{ "lmsw", 3, { 0x0f, 0x01, 0xf0 } },
	{ "clts", 2, { 0x0f, 0x06 } },
	{ "invd", 2, { 0x0f, 0x08 } },
	{ "wbinvd", 2, { 0x0f, 0x09 } },
	{ "invlpg", 3, { 0x0f, 0x01, 0x3f } },
	{ "swapgs", 3, { 0x0f, 0x01, 0xf8 } },
	{ "sysretq", 3, { 0x48, 0x0f, 0x07 } },
	{ "sysretl", 2, { 0x0f, 0x07 } },
	{ "sysenter", 2, { 0x0f, 0x34 } },
	{ "sysexit", 2, { 0x0f, 0x35 } },
	{ "xsetbv", 3, { 0x0f, 0x01, 0xd1 } },
	{ "monitor", 3, { 0x0f, 0x01, 0xc8 } },
	{ "mwait", 3, { 0x0f, 0x01, 0xc9 } },
	{ "stac", 3, { 0x0f, 0x01, 0xcb } },
	{ "clac", 3, { 0x0f, 0x01, 0xca } },
	{ "rsm", 2, { 0x0f, 0xaa } },
	{ "invpcid", 5, { 0x66, 0x0f, 0x38, 0x82, 0x07 } },
	{ "vmrun", 3, { 0x0f, 0x01, 0xd8 } },
	{ "vmload", 3, { 0x0f, 0x01, 0xda } },
	{ "skinit", 3, { 0x0f, 0x01, 0xde } },
	{ "vmlaunch", 3, { 0x0f, 0x01, 0xc2 } },
	{ "xsaves", 3, { 0x0f, 0xc7, 0x2f } },
	{ "xrstors", 3, { 0x0f, 0xc7, 0x1f } },
};

static void privileged_instructions_fault(void)
{
	for (unsigned i = 0; i < sizeof privileged / sizeof privileged[0]; i++) {
		uint32_t kind =
			run_bytes(privileged[i].bytes, privileged[i].size, (uint64_t)scratch);
		if (!denied(kind)) {
			printf("# %s: kind %u\n", privileged[i].name, kind);
			CHECK(!"a privileged instruction did not fault");
		}
	}
}

/* With UMIP programs cannot read the addresses of the processor's tables, which are kernel
 * addresses. */
static void table_addresses_are_hidden(void)
{
	static const struct instruction tables[] = {
		{ "sgdt", 3, { 0x0f, 0x01, 0x07 } },
		{ "sidt", 3, { 0x0f, 0x01, 0x0f } },
		{ "sldt", 3, { 0x0f, 0x00, 0x07 } },
		{ "str", 3, { 0x0f, 0x00, 0x0f } },
		{ "smsw", 3, { 0x0f, 0x01, 0x27 } },
	};
	for (unsigned i = 0; i < sizeof tables / sizeof tables[0]; i++)
		CHECK_EQUAL(run_bytes(tables[i].bytes, tables[i].size, (uint64_t)scratch),
			KIND(GENERAL_PROTECTION));
}

static bool have_umip(void)
{
	uint32_t a, b, c, d;
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (c >> 2 & 1);
}

static bool have_fsgsbase(void)
{
	uint32_t a, b, c, d;
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & 1);
}

static void software_interrupts_fault(void)
{
	for (unsigned vector = 0; vector < 256; vector++) {
		const uint8_t bytes[] = { 0xcd, (uint8_t)vector };
		uint32_t kind = run_bytes(bytes, 2, 0);
		CHECK_EQUAL(kind, vector == 3 ? KIND(BREAKPOINT) : KIND(GENERAL_PROTECTION));
	}
	static const struct instruction others[] = {
		{ "into", 1, { 0xce } },
		{ "bound", 2, { 0x62, 0x07 } },
		{ "lcall", 1, { 0x9a } },
		{ "ud0", 3, { 0x0f, 0xff, 0xc0 } },
		{ "ud1", 3, { 0x0f, 0xb9, 0xc0 } },
	};
	for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++)
		CHECK_EQUAL(
			run_bytes(others[i].bytes, others[i].size, 0), KIND(ILLEGAL_INSTRUCTION));
}

/* ---- segments ---- */

/* Far transfers to every selector of the table and beyond. Only the program's own 64-bit code
 * segment may work, because 32-bit code would reach entry points that the kernel does not have. */
static void far_transfers_stay_in_64_bit_code(void)
{
	static const uint8_t jump_far[] = { 0xff, 0x2f }, call_far[] = { 0xff, 0x1f };
	static const uint8_t far_return[] = { 0xff, 0x77, 0x08, 0xff, 0x37, 0x48,
		0xcb }; /* push [rdi+8]; push [rdi]; lretq */
	struct {
		uint32_t offset;
		uint16_t selector;
	} __attribute__((packed)) target;
	struct {
		uint64_t rip, cs;
	} frame;
	for (unsigned selector = 0; selector < 0x80; selector++) {
		if ((selector & ~3u) == 0x28)
			continue; /* 64-bit user code */
		target.offset = (uint32_t)(uint64_t)code + 16;
		target.selector = (uint16_t)selector;
		frame.rip = target.offset;
		frame.cs = selector;
		CHECK(denied(run_bytes(jump_far, sizeof jump_far, (uint64_t)&target)));
		CHECK_EQUAL(seen_rip,
			(uint64_t)code); /* the transfer faulted, not the code at its target */
		CHECK(denied(run_bytes(call_far, sizeof call_far, (uint64_t)&target)));
		CHECK_EQUAL(seen_rip, (uint64_t)code);
		CHECK(return_fails(run_bytes(far_return, sizeof far_return, (uint64_t)&frame)));
		CHECK_EQUAL(seen_rip, (uint64_t)code + 5);
	}
}

static void returns_from_interrupts_stay_in_user_mode(void)
{
	/* push [rdi+32] ... push [rdi]; iretq */
	static const uint8_t bytes[] = { 0xff, 0x77, 0x20, 0xff, 0x77, 0x18, 0xff, 0x77, 0x10, 0xff,
		0x77, 0x08, 0xff, 0x37, 0x48, 0xcf };
	static const uint16_t selectors[] = { 0, 3, 8, 0xb, 0x10, 0x13, 0x18, 0x1b, 0x20, 0x23,
		0x28, 0x30, 0x33, 0x40, 0xfff8, 0xffff };
	uint64_t frame[5] = { (uint64_t)code + 64, 0, 0x202, back_rsp, 0x23 };
	for (unsigned i = 0; i < sizeof selectors / sizeof selectors[0]; i++) {
		frame[1] = selectors[i];
		CHECK(return_fails(run_bytes(bytes, sizeof bytes, (uint64_t)frame)));
	}
	frame[1] = 0x2b;
	for (unsigned i = 0; i < sizeof selectors / sizeof selectors[0]; i++) {
		frame[4] = selectors[i];
		if (selectors[i] != 0x23)
			CHECK(return_fails(run_bytes(bytes, sizeof bytes, (uint64_t)frame)));
	}
	frame[4] = 0x23;
	frame[2] = ~0ull & ~0x40100ull; /* IOPL 3, NT, VM and all: ignored by the processor */
	run_bytes(bytes, sizeof bytes, (uint64_t)frame);
	CHECK_EQUAL(run_bytes((const uint8_t[]){ 0xfa }, 1, 0),
		KIND(GENERAL_PROTECTION)); /* CLI is still denied */
}

/* mov ax, di; mov SEGMENT, ax; then FS base is put back before anything uses it. */
static void segment_registers_hold_nothing(void)
{
	static const uint8_t opcodes[] = { 0xd8, 0xc0, 0xe0, 0xe8, 0xd0 }; /* DS ES FS GS SS */
	uint64_t fs_base = 0;
	OK(capos_thread_control_get_fs_base(capos_caps.thread_control, &fs_base));
	uint8_t bytes[48] = { 0x89, 0xf8, 0x8e, 0 };
	/* movabs rdi, cap | setFsBase << 32; movabs rsi, fs_base; mov eax, compact; syscall */
	bytes[4] = 0x48, bytes[5] = 0xbf;
	uint64_t target =
		capos_caps.thread_control | (uint64_t)CAPOS_THREAD_CONTROL_SET_FS_BASE << 32;
	memcpy(bytes + 6, &target, 8);
	bytes[14] = 0x48, bytes[15] = 0xbe;
	memcpy(bytes + 16, &fs_base, 8);
	static const uint8_t tail[] = { 0xb8, 0x01, 0x08, 0x00, 0x00, 0x0f, 0x05 };
	memcpy(bytes + 24, tail, sizeof tail);
	for (unsigned segment = 0; segment < sizeof opcodes; segment++) {
		bytes[3] = opcodes[segment];
		for (unsigned selector = 0; selector < 0x10000;
			selector += selector < 0x60 ? 1 : 0x1fff) {
			uint32_t kind = run_bytes(bytes, 24 + sizeof tail, selector);
			bool fine = selector < 4
				? opcodes[segment] != 0xd0
				: (selector & ~3u) == 0x20 || (selector & ~3u) == 0x28;
			if (!fine)
				CHECK_EQUAL(kind, KIND(GENERAL_PROTECTION));
			else
				CHECK(kind == 0 || kind == KIND(GENERAL_PROTECTION));
			capos_thread_control_yield(capos_caps.thread_control);
		}
	}
	__asm__ volatile("movl $0x23, %%eax\n\tmovl %%eax, %%ds\n\tmovl %%eax, %%es" : : : "eax");
	capos_sleep_ns(MS_NS);
}

/* Bases that the program sets by itself, to kernel addresses, across calls, faults and switches. */
static void bases_of_kernel_addresses_are_harmless(void)
{
	static const uint64_t bases[] = { 0, KERNEL_HALF, 0xffffffff80100000, ~0ull,
		CAPOS_USER_TOP - 8 };
	for (unsigned i = 0; i < sizeof bases / sizeof bases[0]; i++) {
		uint64_t fs = 0, gs = 0;
		__asm__ volatile("rdfsbase %%r12\n\twrfsbase %2\n\twrgsbase %2\n\t"
				 "movq %3, %%rdi\n\tmovl $0x801, %%eax\n\tsyscall\n\t" /* yield */
				 "movq %4, %%rdi\n\tmovl $300000, %%esi\n\t"
				 "movl $0x801, %%eax\n\t"
				 "syscall\n\t" /* sleep: other code runs here */
				 "rdfsbase %0\n\trdgsbase %1\n\twrfsbase %%r12"
			: "=&r"(fs), "=&r"(gs)
			: "r"(bases[i]),
			"r"(capos_caps.thread_control | (uint64_t)CAPOS_THREAD_CONTROL_YIELD << 32),
			"r"(capos_caps.timer | (uint64_t)CAPOS_TIMER_SLEEP << 32)
			: "rax", "rcx", "rdi", "rsi", "r11", "r12", "memory");
		CHECK_EQUAL(fs, bases[i]);
		CHECK_EQUAL(gs, bases[i]);
	}
	__asm__ volatile("wrgsbase %0" : : "r"(KERNEL_HALF));
	CHECK_EQUAL(run_bytes((const uint8_t[]){ 0xf4 }, 1, 0), KIND(GENERAL_PROTECTION));
	jump_to(8, 0);
	CHECK_EQUAL(seen_kind, KIND(PAGE_FAULT));
	__asm__ volatile("wrgsbase %0" : : "r"(0ull));
}

/* ---- states at SYSCALL ---- */

static int64_t yield_with_stack(uint64_t rsp)
{
	int64_t result;
	__asm__ volatile("movq %%rsp, %%r12\n\tmovq %1, %%rsp\n\tmovl $0x801, %%eax\n\t"
			 "syscall\n\tmovq %%rsp, %%r13\n\tmovq %%r12, %%rsp\n\t"
			 "cmpq %%r13, %1\n\tje 1f\n\tmovq $-1, %%rax\n1:"
		: "=&a"(result)
		: "r"(rsp),
		"D"(capos_caps.thread_control | (uint64_t)CAPOS_THREAD_CONTROL_YIELD << 32)
		: "rcx", "r11", "r12", "r13", "memory", "cc");
	return result;
}

static void the_stack_pointer_is_not_used(void)
{
	static const uint64_t stacks[] = { 0, 1, 7, PAGE, CAPOS_USER_TOP, NON_CANONICAL,
		0xffff7ffffffffff8, KERNEL_HALF, 0xffffffff80150000, ~0ull };
	for (unsigned i = 0; i < sizeof stacks / sizeof stacks[0]; i++)
		for (int n = 0; n < 50; n++)
			CHECK_EQUAL(yield_with_stack(stacks[i]), 0);
}

static int64_t usage_with_flags(uint64_t flags, struct capos_memory_usage *usage)
{
	int64_t result;
	__asm__ volatile("pushq %4\n\tpopfq\n\tmovl $0x801, %%eax\n\tsyscall\n\t"
			 "pushfq\n\tpopq %%r12\n\tpushq $0x202\n\tpopfq"
		: "=&a"(result)
		: "D"(capos_caps.vm | (uint64_t)CAPOS_VIRTUAL_MEMORY_USAGE << 32), "S"(usage),
		"d"(sizeof *usage), "r"(flags)
		: "rcx", "r11", "r12", "memory", "cc");
	return result;
}

static void flags_do_not_reach_the_kernel(void)
{
	static const uint64_t flags[] = { 0x400, 0x40000, 0x40400, 0x4000, 0x44cd5, 0x200000,
		0x3000, 0x10000 };
	for (unsigned i = 0; i < sizeof flags / sizeof flags[0]; i++) {
		struct capos_memory_usage usage = { 0 };
		CHECK_EQUAL(usage_with_flags(flags[i] | 0x202, &usage), sizeof usage);
		CHECK(usage.machine_pages > 1000 &&
			usage.reserved_limit == CAPOS_RESERVED_PAGES_MAX);
	}
	/* A fault with the direction and alignment flags set: the kernel's own string instructions
	 * must not run backwards. */
	CHECK_EQUAL(run_bytes((const uint8_t[]){ 0x68, 0x02, 0x06, 0x04, 0x00, 0x9d, 0xf4 }, 7, 0),
		KIND(GENERAL_PROTECTION));
}

static void single_steps_over_syscall(void)
{
	/* pushfq; or qword [rsp], 100h; popfq; mov eax, 2; syscall; nop */
	static const uint8_t bytes[] = { 0x9c, 0x48, 0x81, 0x0c, 0x24, 0x00, 0x01, 0x00, 0x00, 0x9d,
		0x0f, 0x05, 0x90 };
	CHECK_EQUAL(run_bytes(bytes, sizeof bytes, 0), KIND(BREAKPOINT));
	/* mov ss, ax; syscall with the trap flag: the trap that MOV SS delays must not hit the
	 * kernel. push; popfq; mov eax, 23h; mov ss, eax; syscall */
	static const uint8_t delayed[] = { 0xb8, 0x23, 0, 0, 0, 0x9c, 0x48, 0x81, 0x0c, 0x24, 0x00,
		0x01, 0x00, 0x00, 0x9d, 0x8e, 0xd0, 0x0f, 0x05, 0x90 };
	CHECK_EQUAL(run_bytes(delayed, sizeof delayed, 0), KIND(BREAKPOINT));
	static const uint8_t delayed_int[] = { 0xb8, 0x23, 0, 0, 0, 0x9c, 0x48, 0x81, 0x0c, 0x24,
		0x00, 0x01, 0x00, 0x00, 0x9d, 0x8e, 0xd0, 0xcc };
	CHECK_EQUAL(run_bytes(delayed_int, sizeof delayed_int, 0), KIND(BREAKPOINT));
}

/* After a SYSCALL in the last two bytes of the user half execution would go on at userTop. */
static void syscall_at_the_end_of_user_space(void)
{
	uint64_t page = 0;
	OK(capos_virtual_memory_map(capos_caps.vm, CAPOS_USER_TOP - PAGE, PAGE, WRITE, &page));
	CHECK_EQUAL(page, CAPOS_USER_TOP - PAGE);
	static const uint8_t syscall[] = { 0x0f, 0x05 };
	memcpy((void *)(CAPOS_USER_TOP - 2), syscall, 2);
	OK(vm_protect(page, PAGE, EXEC));
	for (int i = 0; i < 20; i++) {
		seen_kind = 0;
		jump_to(CAPOS_USER_TOP - 2, 0); /* number 0 with RSI = the address as a scope: it
		                                   fails, so it returns */
		CHECK_EQUAL(seen_rip, CAPOS_USER_TOP);
		CHECK(seen_kind == KIND(PAGE_FAULT) || seen_kind == KIND(GENERAL_PROTECTION));
	}
	OK(vm_unmap(page, PAGE));
}

static void wild_jumps_fault(void)
{
	static const uint64_t targets[] = { 0, 1, PAGE, 0x700000000000, CAPOS_USER_TOP, KERNEL_HALF,
		0xffffffff80100000, 0xffffffff80115f60, 0xfffffffffffff000, ~0ull };
	for (unsigned i = 0; i < sizeof targets / sizeof targets[0]; i++) {
		seen_kind = 0;
		jump_to(targets[i], 0);
		CHECK_EQUAL(seen_kind, KIND(PAGE_FAULT));
		CHECK_EQUAL(seen_rip, targets[i]);
	}
	seen_kind = 0;
	jump_to(NON_CANONICAL, 0);
	CHECK_EQUAL(seen_kind, KIND(GENERAL_PROTECTION));
}

int main(void)
{
	uint64_t page = 0;
	if (capos_virtual_memory_map(capos_caps.vm, 0x30000000, PAGE, WRITE, &page) < 0 ||
		page != 0x30000000)
		return 1;
	code = (uint8_t *)page;
	if (capos_notification_set_handler(come_back) < 0)
		return 1;
	RUN(privileged_instructions_fault);
	if (have_umip())
		RUN(table_addresses_are_hidden);
	else
		check_skip("table_addresses_are_hidden", "this processor has no UMIP");
	RUN(software_interrupts_fault);
	RUN(far_transfers_stay_in_64_bit_code);
	RUN(returns_from_interrupts_stay_in_user_mode);
	RUN(segment_registers_hold_nothing);
	if (have_fsgsbase())
		RUN(bases_of_kernel_addresses_are_harmless);
	else
		check_skip(
			"bases_of_kernel_addresses_are_harmless", "this processor has no FSGSBASE");
	RUN(the_stack_pointer_is_not_used);
	RUN(flags_do_not_reach_the_kernel);
	RUN(single_steps_over_syscall);
	RUN(syscall_at_the_end_of_user_space);
	RUN(wild_jumps_fault);
	capos_notification_set_handler(NULL);
	return check_result();
}
