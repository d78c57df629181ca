/* resume with everything that a program should not put into a ThreadState. Each value makes it fail
 * or is made harmless, and none may trap in the kernel. After each failure the thread is switched
 * away and back, so that a rejected value that stayed behind would show. */
#include "support.h"

#define LEGACY 512
#define MXCSR 24

static struct capos_thread_state good;
static uint8_t area[16384] __attribute__((aligned(64)));
static struct capos_thread_state state;
static capos_cap_t control;

static int64_t try_resume(void)
{
	int64_t status = capos_thread_control_resume(control, (uint64_t)&state);
	CHECK_FAILS_WITH(THREAD_CONTROL_RESUME, status,
		capos_thread_control_resume_message(control, (uint64_t)&state));
	capos_timer_sleep(capos_caps.timer, MS_NS / 5);
	return status;
}

static void capture(uint32_t kind, struct capos_thread_state *frame)
{
	(void)kind;
	good = *frame;
	if (good.xsave_size <= sizeof area)
		memcpy(area, (void *)good.xsave_address, good.xsave_size);
	good.xsave_address = (uint64_t)area;
	frame->rip += 2;
}

static void addresses_are_checked(void)
{
	static const uint64_t bad[] = { CAPOS_USER_TOP, NON_CANONICAL, NON_CANONICAL - 1 + PAGE,
		KERNEL_HALF, 0xffffffff80100000, ~0ull };
	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		state = good;
		state.rip = bad[i];
		CHECK_EQUAL(try_resume(), CAPOS_E(INVALID_ARGUMENT));
		state = good;
		state.fs_base = bad[i];
		CHECK_EQUAL(try_resume(), CAPOS_E(INVALID_ARGUMENT));
	}
	static const uint64_t states[] = { 0, 8, CAPOS_USER_TOP - 8, CAPOS_USER_TOP, NON_CANONICAL,
		KERNEL_HALF, ~0ull - 7, ~0ull };
	for (unsigned i = 0; i < sizeof states / sizeof states[0]; i++)
		CHECK_FAILS(THREAD_CONTROL_RESUME, BAD_ADDRESS,
			capos_thread_control_resume(control, states[i]));
	uint64_t page = vm_map(PAGE, WRITE);
	CHECK_FAILS(THREAD_CONTROL_RESUME, BAD_ADDRESS,
		capos_thread_control_resume(control,
			page + PAGE - 8)); /* runs off the mapped page, or into another's */
	OK(vm_unmap(page, PAGE));
}

static void vector_areas_are_checked(void)
{
	static const uint64_t bad[] = { 64, CAPOS_USER_TOP - 64, CAPOS_USER_TOP, NON_CANONICAL,
		KERNEL_HALF, ~0ull & ~63ull };
	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		state = good;
		state.xsave_address = bad[i];
		CHECK_EQUAL(try_resume(), CAPOS_E(BAD_ADDRESS));
	}
	for (uint64_t offset = 1; offset < 64; offset *= 2) {
		state = good;
		state.xsave_address += offset;
		CHECK_EQUAL(try_resume(), CAPOS_E(INVALID_ARGUMENT));
	}
	const uint32_t sizes[] = { 0, 1, good.xsave_size - 1, good.xsave_size + 1,
		good.xsave_size * 2, 0xffffffff };
	for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		state = good;
		state.xsave_size = sizes[i];
		CHECK_EQUAL(try_resume(), CAPOS_E(INVALID_ARGUMENT));
	}
}

static void vector_headers_are_checked(void)
{
	uint8_t saved[sizeof area];
	memcpy(saved, area, good.xsave_size);
	uint64_t *header = (uint64_t *)(area + LEGACY);
	state = good;
	static const uint64_t components[] = { ~0ull, 1ull << 63, 1ull << 62, 1 << 8, 1 << 9,
		1 << 17 };
	for (unsigned i = 0; i < sizeof components / sizeof components[0]; i++) {
		header[0] = components[i];
		CHECK_EQUAL(try_resume(), CAPOS_E(INVALID_ARGUMENT));
	}
	header[0] = 3;
	for (unsigned word = 1; word < 8; word++) {
		header[word] = word == 1 ? 1ull << 63 : 1; /* compacted format; reserved */
		CHECK_EQUAL(try_resume(), CAPOS_E(INVALID_ARGUMENT));
		header[word] = 0;
	}
	memset(area, 0xff, good.xsave_size);
	CHECK_EQUAL(try_resume(), CAPOS_E(INVALID_ARGUMENT));
	/* A random header, followed by memory that cannot be read. */
	uint64_t pages = vm_map(2 * PAGE, WRITE);
	OK(vm_decommit(pages + PAGE, PAGE));
	memset((void *)pages, 0xff, PAGE);
	state.xsave_address = pages + PAGE - 576;
	if (good.xsave_size > 576)
		CHECK_EQUAL(try_resume(), CAPOS_E(BAD_ADDRESS));
	OK(vm_unmap(pages, 2 * PAGE));
	memcpy(area, saved, good.xsave_size);
}

/* ---- what is made harmless ---- */

static uint64_t edit_flags;
static uint32_t edit_mxcsr;

static void edit(uint32_t kind, struct capos_thread_state *frame)
{
	(void)kind;
	frame->rip += 2;
	frame->rflags = edit_flags;
	*(uint32_t *)(frame->xsave_address + MXCSR) = edit_mxcsr;
	if (frame->xsave_size > LEGACY)
		*(uint64_t *)(frame->xsave_address + LEGACY) |= 2;
}

static uint64_t flags_after_resume(uint64_t flags)
{
	uint64_t after;
	edit_flags = flags;
	__asm__ volatile("ud2\n\tpushfq\n\tpopq %0\n\tcld\n\tpushq $0x202\n\t"
			 "popfq"
		: "=r"(after)
		:
		: "memory", "cc");
	return after;
}

static void flags_are_sanitised(void)
{
	edit_mxcsr = 0x1f80;
	OK(capos_notification_set_handler(edit));
	const uint64_t keep = 0x200dd5 & ~0x100ul; /* all a program may set but TF and AC */
	static const uint64_t flags[] = { 0, ~0ull & ~0x40100ull, 0x3000, 0x4000, 0x20000, 0x10000,
		0x180000, 1ull << 63, 0x200 };
	for (unsigned i = 0; i < sizeof flags / sizeof flags[0]; i++) {
		uint64_t after = flags_after_resume(flags[i]);
		CHECK_EQUAL(after & 0x202, 0x202);       /* interrupts stay on */
		CHECK_EQUAL(after & ~(keep | 0x202), 0); /* no IOPL, NT, VM, RF, VIF */
		CHECK_EQUAL(after & keep, flags[i] & keep);
	}
}

static void control_words_are_sanitised(void)
{
	uint32_t mxcsr = 0, usual = 0x1f80;
	edit_flags = 0x202;
	static const uint32_t values[] = { 0xffffffff, 0xffff1f80, 0x10000 | 0x1f80, 0x9fc0 };
	for (unsigned i = 0; i < sizeof values / sizeof values[0]; i++) {
		edit_mxcsr = values[i];
		__asm__ volatile("ud2\n\tstmxcsr %0\n\tldmxcsr %1" : "=m"(mxcsr) : "m"(usual));
		CHECK_EQUAL(mxcsr, values[i] & 0xffff);
	}
	OK(capos_notification_set_handler(NULL));
}

/* ---- bad addresses at which to continue ---- */

static struct capos_thread_state before_jump;
static volatile uint32_t second_kind;
static uint64_t jump_rip, jump_rsp, second_address;
static volatile int jumps;

/* At the first fault (UD2): continue at jump_rip with jump_rsp. At the fault that follows: return
 * to the place of the first. */
static void jump_and_return(uint32_t kind, struct capos_thread_state *frame)
{
	if (jumps++ == 0) {
		before_jump = *frame;
		frame->rip = jump_rip ? jump_rip : frame->rip + 2;
		frame->rsp = jump_rsp;
		return;
	}
	second_kind = kind;
	second_address = frame->address;
	frame->rip = before_jump.r11;
	frame->rsp = before_jump.rsp;
}

static uint32_t jump(uint64_t rip, uint64_t rsp)
{
	jumps = 0;
	second_kind = 0;
	jump_rip = rip;
	jump_rsp = rsp;
	__asm__ volatile("leaq 2f(%%rip), %%r11\n\tud2\n\t"
			 "pushq %%rax\n2:"
		:
		:
		: "r11", "rax", "memory", "cc");
	return second_kind;
}

static void bad_places_fault_in_the_program(void)
{
	OK(capos_notification_set_handler(jump_and_return));
	CHECK_EQUAL(jump(8, 0x10000), CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
	CHECK_EQUAL(second_address, 8);
	CHECK_EQUAL(jump(CAPOS_USER_TOP - 1, 0x10000), CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
	CHECK_EQUAL(second_address, CAPOS_USER_TOP - 1);
	CHECK_EQUAL(jump((uint64_t)&jump_rsp, 0x10000),
		CAPOS_NOTIFICATION_KIND_PAGE_FAULT); /* data is not executable */
	CHECK_EQUAL(jump(0, 8), CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
	CHECK_EQUAL(jump(0, KERNEL_HALF + 64), CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
	CHECK_EQUAL(second_address, KERNEL_HALF + 56);
	CHECK_EQUAL(jump(0, NON_CANONICAL + PAGE), CAPOS_NOTIFICATION_KIND_GENERAL_PROTECTION);
	CHECK_EQUAL(jump(0, 0), CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
	CHECK_EQUAL(second_address, -8);
	OK(capos_notification_set_handler(NULL));
}

/* Without an area the vector registers stay as the handler left them. */
static void drop_area(uint32_t kind, struct capos_thread_state *frame)
{
	(void)kind;
	frame->rip += 2;
	frame->xsave_address = 0;
	frame->xsave_size = 12345;
	__asm__ volatile("pcmpeqd %%xmm3, %%xmm3" : : : "xmm3");
}

__attribute__((noinline)) static uint64_t xmm3_after_fault(void)
{
	uint64_t low;
	__asm__ volatile("pxor %%xmm3, %%xmm3\n\tud2\n\t"
			 "movq %%xmm3, %0"
		: "=r"(low)
		:
		: "xmm3", "memory");
	return low;
}

static void frames_without_vectors_keep_them(void)
{
	OK(capos_notification_set_handler(drop_area));
	CHECK_EQUAL(xmm3_after_fault(), ~0ull);
	OK(capos_notification_set_handler(NULL));
}

int main(void)
{
	control = capos_caps.thread_control;
	if (capos_notification_set_handler(capture) < 0)
		return 1;
	__asm__ volatile("ud2" ::: "memory");
	RUN(addresses_are_checked);
	RUN(vector_areas_are_checked);
	if (good.xsave_size > LEGACY)
		RUN(vector_headers_are_checked);
	else
		check_skip("vector_headers_are_checked", "no XSAVE here");
	RUN(flags_are_sanitised);
	RUN(control_words_are_sanitised);
	RUN(bad_places_fault_in_the_program);
	RUN(frames_without_vectors_keep_them);
	return check_result();
}
