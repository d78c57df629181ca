/* Faults as notifications: the kind and the numbers of each, the contents of the ThreadState, and
 * what may be edited in it. */
#include "support.h"

#define KIND(name) CAPOS_NOTIFICATION_KIND_##name

/* ---- kinds ---- */

static struct capos_thread_state last; /* as the handler saw it */

static void copy_and_skip(uint32_t kind, struct capos_thread_state *state)
{
	last = *state;
	last.kind = kind;
	state->rip = state->r11;
	state->rflags &= ~(uint64_t)(0x100 | 0x400 | 0x40000); /* TF, DF, AC */
}

#define FAULT(before, instruction, operands...)                                       \
	do {                                                                          \
		last.kind = 0;                                                        \
		__asm__ volatile("leaq 2f(%%rip), %%r11\n\t" before                   \
				 "\n\tleaq 1f(%%rip), %%r10\n1:\t" instruction "\n2:" \
			:                                                             \
			: operands                                                    \
			: "rax", "rcx", "rdx", "r10", "r11", "memory", "cc");         \
	} while (0)

static void faults_have_their_kinds(void)
{
	static const struct {
		uint64_t address;
		uint32_t kind, code;
		bool known;
	} reads[] = {
		{ 0, KIND(PAGE_FAULT), CAPOS_FAULT_MAPPING, true },
		{ 0xfff, KIND(PAGE_FAULT), CAPOS_FAULT_MAPPING, true },
		{ CAPOS_USER_TOP, KIND(PAGE_FAULT), CAPOS_FAULT_MAPPING, true },
		{ KERNEL_HALF, KIND(PAGE_FAULT), CAPOS_FAULT_MAPPING, true },
		{ 0xffffffff80100000, KIND(PAGE_FAULT), CAPOS_FAULT_MAPPING,
			true }, /* the kernel's text, if it were mapped for us */
		{ ~0ull, KIND(PAGE_FAULT), CAPOS_FAULT_MAPPING, true },
		{ NON_CANONICAL, KIND(GENERAL_PROTECTION), 0, false },
		{ 0xffff7fffffffffff, KIND(GENERAL_PROTECTION), 0, false },
	};
	for (unsigned i = 0; i < sizeof reads / sizeof reads[0]; i++) {
		FAULT("", "movb (%0), %%al", "D"(reads[i].address));
		CHECK_EQUAL(last.kind, reads[i].kind);
		CHECK_EQUAL(last.code, reads[i].code);
		CHECK_EQUAL(last.address, reads[i].known ? reads[i].address : 0);
		CHECK_EQUAL(last.rip, last.r10);
	}
	uint64_t text = (uint64_t)faults_have_their_kinds;
	FAULT("", "movb $0, (%0)", "D"(text));
	CHECK(last.kind == KIND(PAGE_FAULT) && last.code == CAPOS_FAULT_PROTECTION &&
		last.address == text && last.trap == 14);
	CHECK_EQUAL(last.error_code & 7, 7); /* present, write, user */
	FAULT("xorl %%edx, %%edx\n\txorl %%ecx, %%ecx", "divl %%ecx", "D"(0));
	CHECK(last.kind == KIND(DIVIDE) && last.trap == 0 && last.rip == last.r10);
	FAULT("movl $0x80000000, %%eax\n\tcltd\n\tmovl $-1, %%ecx", "idivl %%ecx", "D"(0));
	CHECK_EQUAL(last.kind, KIND(DIVIDE));
	FAULT("", "ud2", "D"(0));
	CHECK(last.kind == KIND(ILLEGAL_INSTRUCTION) && last.trap == 6 && last.rip == last.r10);
	FAULT("", "int3", "D"(0));
	CHECK(last.kind == KIND(BREAKPOINT) && last.trap == 3 && last.rip == last.r10 + 1);
	FAULT("", ".byte 0xcd, 3", "D"(0)); /* INT 3, the long form */
	CHECK(last.kind == KIND(BREAKPOINT) && last.rip == last.r10 + 2);
	FAULT("pushfq\n\torq $0x100, (%%rsp)\n\tpopfq", "nop", "D"(0)); /* single step */
	CHECK(last.kind == KIND(BREAKPOINT) && last.trap == 1);
}

static void floating_point_faults(void)
{
	uint32_t unmasked = 0x1f80 & ~0x200u, masked = 0x1f80; /* ZM off: division by zero */
	uint16_t x87_unmasked = 0x37f & ~4;
	FAULT("ldmxcsr %0\n\txorps %%xmm1, %%xmm1\n\tmovl $1, %%eax\n\t"
	      "cvtsi2ss %%eax, %%xmm0",
		"divss %%xmm1, %%xmm0", "m"(unmasked));
	__asm__ volatile("ldmxcsr %0" : : "m"(masked));
	if (last.kind) /* emulators leave it out */
		CHECK(last.kind == KIND(FLOATING_POINT) && last.trap == 19 && last.rip == last.r10);
	FAULT("fninit\n\tfldcw %0\n\tfld1\n\tfldz\n\tfdivrp", "fwait", "m"(x87_unmasked));
	CHECK(last.kind == KIND(FLOATING_POINT) && last.trap == 16);
	__asm__ volatile("fnclex\n\tfninit");
}

static void alignment_faults(void)
{
	static uint64_t words[2];
	FAULT("pushfq\n\torq $0x40000, (%%rsp)\n\tpopfq", "movq 1(%0), %%rax", "D"(words));
	__asm__ volatile("pushfq\n\tandq $~0x40000, (%%rsp)\n\tpopfq" ::: "memory", "cc");
	if (last.kind) /* likewise */
		CHECK(last.kind == KIND(ALIGNMENT) && last.trap == 17);
}

/* ---- registers ---- */

/* Faults with a pattern in every register and returns the registers after the handler has
 * resumed. */
struct registers {
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15, rflags;
};

void fault_with_patterns(struct registers *after);
extern char fault_with_patterns_at[];
__asm__(".text\n.globl fault_with_patterns, fault_with_patterns_at\n"
	"fault_with_patterns:\n\t"
	"pushq %rbx\n\tpushq %rbp\n\tpushq %r12\n\tpushq %r13\n\tpushq %r14\n\t"
	"pushq %r15\n\tpushq %rdi\n\t"
	"movl $1, %eax\n\tmovl $2, %ebx\n\tmovl $3, %ecx\n\tmovl $4, %edx\n\t"
	"movl $5, %esi\n\tmovl $6, %edi\n\tmovl $7, %ebp\n\t"
	"movl $8, %r8d\n\tmovl $9, %r9d\n\tmovl $10, %r10d\n\tmovl $11, %r11d\n\t"
	"movl $12, %r12d\n\tmovl $13, %r13d\n\t"
	"movl $14, %r14d\n\tmovl $15, %r15d\n\tstd\n"
	"fault_with_patterns_at:\n\tud2\n\t"
	"pushfq\n\tcld\n\tpushq %rdi\n\tmovq 16(%rsp), %rdi\n\t"
	"movq %rax, (%rdi)\n\tmovq %rbx, 8(%rdi)\n\tmovq %rcx, 16(%rdi)\n\t"
	"movq %rdx, 24(%rdi)\n\tmovq %rsi, 32(%rdi)\n\t"
	"popq 40(%rdi)\n\tmovq %rbp, 48(%rdi)\n\tmovq %r8, 56(%rdi)\n\t"
	"movq %r9, 64(%rdi)\n\tmovq %r10, 72(%rdi)\n\tmovq %r11, 80(%rdi)\n\t"
	"movq %r12, 88(%rdi)\n\tmovq %r13, 96(%rdi)\n\tmovq %r14, 104(%rdi)\n\t"
	"movq %r15, 112(%rdi)\n\tpopq 120(%rdi)\n\t"
	"popq %rdi\n\tpopq %r15\n\tpopq %r14\n\tpopq %r13\n\tpopq %r12\n\tpopq %rbp\n\t"
	"popq %rbx\n\tret\n");

struct {
	uint64_t rsp, rflags, rdi, rsi, rdx, fs_base;
} at_entry; /* not static: assembly stores it */

void recording_entry(void);
extern void capos_notification_entry(void);
__asm__(".text\n.globl recording_entry\nrecording_entry:\n\t"
	"movq %rsp, at_entry(%rip)\n\tmovq %rdi, at_entry+16(%rip)\n\t"
	"movq %rsi, at_entry+24(%rip)\n\tmovq %rdx, at_entry+32(%rip)\n\t"
	"pushfq\n\tpopq at_entry+8(%rip)\n\tmovq %fs:0, %rax\n\t"
	"movq %rax, at_entry+40(%rip)\n\tjmp capos_notification_entry\n");

static void add_hundred(uint32_t kind, struct capos_thread_state *state)
{
	copy_and_skip(kind, state);
	uint64_t *const edited[] = { &state->rax, &state->rbx, &state->rcx, &state->rdx,
		&state->rsi, &state->rdi, &state->rbp, &state->r8, &state->r9, &state->r10,
		&state->r11, &state->r12, &state->r13, &state->r14, &state->r15 };
	for (unsigned i = 0; i < 15; i++)
		*edited[i] += 100;
	state->rip = last.rip + 2;
	state->rflags = last.rflags | 0x41; /* CF, ZF */
	for (unsigned i = 0; i < 4; i++)
		((uint32_t *)state->xsave_address)[40 + i] =
			0x5eed0000 + i; /* XMM0: byte 160 of the legacy area */
	if (state->xsave_size > 512)
		*(uint64_t *)(state->xsave_address + 512) |= 2; /* SSE state is there */
}

static void frames_hold_everything_and_can_be_edited(void)
{
	static uint8_t stack[65536] __attribute__((aligned(16)));
	struct registers after;
	uint64_t fs_base;
	uint32_t xmm[4];
	OK(capos_notification_set_handler(add_hundred));
	OK(capos_thread_control_get_fs_base(capos_caps.thread_control, &fs_base));
	OK(capos_thread_control_set_notification(capos_caps.thread_control,
		(uint64_t)recording_entry, (uint64_t)stack, sizeof stack));
	fault_with_patterns(&after);
	__asm__ volatile("movdqu %%xmm0, %0" : "=m"(xmm));
	OK(capos_notification_set_handler(copy_and_skip));
	for (uint64_t i = 0; i < 15; i++) {
		CHECK_EQUAL(((uint64_t *)&after)[i], i + 101);
		CHECK_EQUAL(
			(&last.rax)[i < 7 ? i : i + 1], i + 1); /* RSP lies between RBP and R8 */
	}
	CHECK_EQUAL(
		after.rflags & 0x441, 0x441); /* the direction flag was kept, the others are new */
	CHECK_EQUAL(last.rip, (uint64_t)fault_with_patterns_at);
	CHECK_EQUAL(last.rflags & 0x402, 0x402);
	CHECK_EQUAL(last.fs_base, fs_base);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQUAL(xmm[i], 0x5eed0000 + i);
	CHECK_EQUAL(at_entry.rsp % 16, 8);
	CHECK(at_entry.rsp > (uint64_t)stack && at_entry.rsp < (uint64_t)stack + sizeof stack);
	CHECK_EQUAL(at_entry.rflags & 0x400, 0);
	CHECK_EQUAL(at_entry.rdi, KIND(ILLEGAL_INSTRUCTION));
	CHECK(at_entry.rsi == at_entry.rdx && at_entry.rsi == at_entry.rsp + 8);
	CHECK_EQUAL(at_entry.fs_base, fs_base);
	CHECK(last.xsave_address % 64 == 0 && last.xsave_address > at_entry.rsi &&
		last.xsave_size >= 512);
	CHECK(last.xsave_address + last.xsave_size <= (uint64_t)stack + sizeof stack);
	CHECK_EQUAL(last.mask, 0);
}

/* ---- nesting ---- */

static volatile int depth, depth_reached;
static uint64_t nested_frames[4];

static void fault_again(uint32_t kind, struct capos_thread_state *state)
{
	uint64_t previous = 0;
	capos_notification_mask(0, ~0ull, &previous);
	nested_frames[depth] = (uint64_t)state;
	depth_reached = ++depth;
	if (depth < 4)
		FAULT("", "ud2", "D"(0));
	depth--;
	(void)kind, (void)previous;
	state->rip += 2; /* past UD2 */
}

/* A handler that unmasks may be interrupted in turn. Each ThreadState lies below the one before, on
 * the same stack. */
static void handlers_nest(void)
{
	uint64_t mask = 1;
	depth = 0;
	OK(capos_notification_set_handler(fault_again));
	FAULT("", "ud2", "D"(0));
	OK(capos_notification_mask(0, 0, &mask));
	CHECK_EQUAL(mask, 0);
	CHECK_EQUAL(depth, 0);
	CHECK_EQUAL(depth_reached, 4);
	for (int i = 1; i < 4; i++)
		CHECK(nested_frames[i] < nested_frames[i - 1] &&
			nested_frames[i] > nested_frames[i - 1] - 16384);
	OK(capos_notification_set_handler(copy_and_skip));
}

/* ---- stack overflow ---- */

uint64_t overflow_rsp, overflow_rip; /* not static: assembly stores them */
static uint64_t overflow_address;

static void back_from_overflow(uint32_t kind, struct capos_thread_state *state)
{
	if (kind != KIND(PAGE_FAULT))
		return;
	overflow_address = state->address;
	state->rip = overflow_rip;
	state->rsp = overflow_rsp;
}

static int64_t overflow(void *argument)
{
	(void)argument;
	if (capos_notification_set_handler(back_from_overflow) < 0)
		return 1;
	for (int i = 0; i < 3; i++) {
		overflow_address = 0;
		__asm__ volatile("pushq %%rbp\n\tmovq %%rsp, overflow_rsp(%%rip)\n\t"
				 "leaq 2f(%%rip), %%rax\n\tmovq %%rax, overflow_rip(%%rip)\n"
				 "1:\tpushq %%rax\n\tjmp 1b\n2:\tpopq %%rbp"
			:
			:
			: "rax", "memory", "cc");
		if (overflow_address + 64 * 1024 > (uint64_t)__builtin_frame_address(0) ||
			overflow_address % PAGE != PAGE - 8)
			return 2;
	}
	return 0;
}

static void stack_overflow_is_survived(void)
{
	struct capos_thread *thread;
	int64_t result = -1;
	const struct capos_thread_options options = { .stack_size_bytes = 128 * 1024 };
	OK(capos_thread_start(&thread, overflow, NULL, &options));
	OK(capos_thread_join(thread, &result));
	CHECK_EQUAL(result, 0);
}

int main(void)
{
	if (capos_notification_set_handler(copy_and_skip) < 0)
		return 1;
	RUN(faults_have_their_kinds);
	RUN(floating_point_faults);
	RUN(alignment_faults);
	RUN(frames_hold_everything_and_can_be_edited);
	RUN(handlers_nest);
	RUN(stack_overflow_is_survived);
	capos_notification_set_handler(NULL);
	return check_result();
}
