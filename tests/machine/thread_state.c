/* suspend, readState, writeState, resume: other threads' registers, read and changed from outside;
 * vector and x87 registers across switches and notifications; yield; clocks that agree on every
 * CPU. */
#include "raw_thread.h"

/* Spins and counts in RBX. R12 and R13 hold marks. Ends with R14 as its exit code once *(uint64_t
 * *)RDI is not 0. */
void marked_spin(void);
__asm__(".text\n.globl marked_spin, marked_elsewhere\n"
	"marked_spin:\n\t"
	"movabsq $0x1122334455667788, %r12\n\tmovabsq $0x99aabbccddeeff00, %r13\n\tmovl $5, %r14d\n"
	"1:\tincq %rbx\n\tcmpq $0, (%rdi)\n\tje 1b\n\tmovq %r14, %rdi\n\tjmp raw_exit\n"
	"marked_elsewhere:\n\t"
	"leal (%r14, %r15), %edi\n\tjmp raw_exit\n");
void marked_elsewhere(void);

static void wait_for_marks(capos_cap_t handle, struct capos_thread_state *state)
{
	for (int i = 0; i < 10000; i++) {
		OK(capos_thread_handle_suspend(handle));
		CHECK_EQUAL(capos_thread_handle_read_state(handle, state, sizeof *state),
			sizeof *state);
		if (state->r14 == 5)
			return;
		OK(capos_thread_handle_resume(handle));
		capos_sleep_ns(MS_NS / 10);
	}
	CHECK(!"the thread never began");
}

static void suspended_threads_stand_still(void)
{
	uint64_t flag = 0;
	capos_cap_t handle = raw_spawn(marked_spin, (uint64_t)&flag, 0x7000);
	struct capos_thread_state first, second;
	wait_for_marks(handle, &first);
	CHECK_EQUAL(first.r12, 0x1122334455667788);
	CHECK_EQUAL(first.r13, 0x99aabbccddeeff00);
	CHECK_EQUAL(first.rsp, 0x7000);
	CHECK_EQUAL(first.rdi, (uint64_t)&flag);
	CHECK(first.rip > (uint64_t)marked_spin && first.rip < (uint64_t)marked_elsewhere);
	capos_sleep_ns(3 * MS_NS);
	CHECK_EQUAL(capos_thread_handle_read_state_message(handle, &second, sizeof second),
		sizeof second);
	CHECK_EQUAL(second.rbx, first.rbx);
	CHECK_EQUAL(second.rip, first.rip);
	OK(capos_thread_handle_suspend_message(handle)); /* counts */
	OK(capos_thread_handle_resume(handle));
	capos_sleep_ns(2 * MS_NS);
	CHECK_EQUAL(capos_thread_handle_read_state(handle, &second, sizeof second), sizeof second);
	CHECK_EQUAL(second.rbx, first.rbx);
	OK(capos_thread_handle_resume_message(handle));
	CHECK_FAILS(THREAD_HANDLE_RESUME, WRONG_STATE, capos_thread_handle_resume(handle));
	CHECK_FAILS(THREAD_HANDLE_READ_STATE, WRONG_STATE,
		capos_thread_handle_read_state(handle, &second, sizeof second));
	CHECK_FAILS(THREAD_HANDLE_WRITE_STATE, WRONG_STATE,
		capos_thread_handle_write_state(handle, &first, sizeof first));
	__atomic_store_n(&flag, 1, __ATOMIC_SEQ_CST);
	CHECK_EQUAL(raw_join(handle), 5);
}

/* Registers are written right after suspend, without giving the thread any time. */
static void written_registers_are_used(void)
{
	for (int i = 0; i < 50; i++) {
		uint64_t flag = 0;
		capos_cap_t handle = raw_spawn(marked_spin, (uint64_t)&flag, 0);
		struct capos_thread_state state, back;
		wait_for_marks(handle, &state);
		OK(capos_thread_handle_resume(handle));
		OK(capos_thread_handle_suspend(handle));
		state.rip = (uint64_t)marked_elsewhere;
		state.r14 = 1000;
		state.r15 = (uint64_t)i;
		state.rsp = 0xdeadbeef0;
		state.rflags = ~0ull; /* only what a program may set is taken */
		OK(i % 2 ? capos_thread_handle_write_state(handle, &state, sizeof state)
			 : capos_thread_handle_write_state_message(handle, &state, sizeof state));
		CHECK_EQUAL(
			capos_thread_handle_read_state(handle, &back, sizeof back), sizeof back);
		CHECK(back.rip == state.rip && back.r15 == (uint64_t)i && back.rsp == 0xdeadbeef0);
		CHECK_EQUAL(back.rflags & 0x7202, 0x202); /* interrupts on; no IOPL, no NT */
		back.rflags = 2;
		OK(capos_thread_handle_write_state(handle, &back, sizeof back));
		OK(capos_thread_handle_resume(handle));
		CHECK_EQUAL(raw_join(handle), 1000 + i);
		if (check_why[0])
			break;
	}
}

static void bad_registers_are_rejected(void)
{
	uint64_t flag = 0;
	capos_cap_t handle = raw_spawn(marked_spin, (uint64_t)&flag, 0);
	struct capos_thread_state state, bad;
	wait_for_marks(handle, &state);
	static const uint64_t addresses[] = { CAPOS_USER_TOP, NON_CANONICAL, KERNEL_HALF, ~0ull };
	for (unsigned i = 0; i < 4; i++) {
		bad = state;
		bad.rip = addresses[i];
		CHECK_FAILS(THREAD_HANDLE_WRITE_STATE, INVALID_ARGUMENT,
			capos_thread_handle_write_state(handle, &bad, sizeof bad));
		bad = state;
		bad.fs_base = addresses[i];
		CHECK_FAILS(THREAD_HANDLE_WRITE_STATE, INVALID_ARGUMENT,
			capos_thread_handle_write_state(handle, &bad, sizeof bad));
	}
	CHECK_FAILS(THREAD_HANDLE_WRITE_STATE, INVALID_ARGUMENT,
		capos_thread_handle_write_state(handle, &state, sizeof state - 1));
	CHECK_FAILS(THREAD_HANDLE_WRITE_STATE, INVALID_ARGUMENT,
		capos_thread_handle_write_state(handle, &state, sizeof state + 1));
	CHECK_FAILS(THREAD_HANDLE_WRITE_STATE, BAD_ADDRESS,
		capos_thread_handle_write_state(handle, (void *)8, sizeof state));
	CHECK_FAILS(THREAD_HANDLE_WRITE_STATE, BAD_ADDRESS,
		capos_thread_handle_write_state(handle, (void *)KERNEL_HALF, sizeof state));
	CHECK_FAILS(THREAD_HANDLE_READ_STATE, BAD_ADDRESS,
		capos_thread_handle_read_state(handle, (void *)8, sizeof state));
	CHECK_FAILS(THREAD_HANDLE_READ_STATE, BAD_ADDRESS,
		capos_thread_handle_read_state(handle, (void *)KERNEL_HALF, sizeof state));
	OK(capos_thread_handle_resume(handle));
	flag = 1;
	CHECK_EQUAL(raw_join(handle), 5);
}

/* A thread in a blocking call is suspended and then woken; it goes on only after resume. */
static void blocked_threads_are_suspended(void)
{
	uint32_t word = 0;
	struct capos_thread_info info;
	int64_t code;
	capos_cap_t handle = raw_spawn(raw_park, (uint64_t)&word, 0);
	raw_wait_blocked(handle, &info);
	OK(capos_thread_handle_suspend(handle));
	struct capos_thread_state state;
	CHECK_EQUAL(capos_thread_handle_read_state(handle, &state, sizeof state), sizeof state);
	CHECK_EQUAL(state.rbx, (uint64_t)&word);
	raw_wake(&word);
	CHECK_FAILS(
		THREAD_HANDLE_JOIN, TIMED_OUT, capos_thread_handle_join(handle, 5 * MS_NS, &code));
	CHECK_EQUAL(capos_thread_handle_info(handle, &info, sizeof info), sizeof info);
	CHECK_EQUAL(info.state, CAPOS_THREAD_STATE_KIND_SUSPENDED);
	OK(capos_thread_handle_resume(handle));
	CHECK_EQUAL(raw_join(handle), 0);
}

static void threads_suspend_each_other(void)
{
	uint64_t flag = 0;
	capos_cap_t handles[4];
	for (int i = 0; i < 4; i++)
		handles[i] = raw_spawn(raw_spin, (uint64_t)&flag, 0);
	for (int round = 0; round < 100; round++)
		OK(capos_thread_handle_suspend(handles[round % 4]));
	for (int round = 0; round < 100; round++)
		OK(capos_thread_handle_resume(handles[round % 4]));
	CHECK_FAILS(THREAD_HANDLE_RESUME, WRONG_STATE, capos_thread_handle_resume(handles[0]));
	flag = 1;
	for (int i = 0; i < 4; i++)
		CHECK_EQUAL(raw_join(handles[i]), 0);
}

/* ---- vector registers ---- */

static bool have_avx;
static volatile uint32_t vector_stop;

static bool detect_avx(void)
{
	uint32_t a = 1, b, c = 0, d;
	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return (c >> 28 & 1) && (c >> 27 & 1); /* AVX, and the kernel has XSAVE on */
}

/* Loads a pattern into all sixteen registers, spins a little (or yields), stores them: 0 when they
 * came back as they were. */
__attribute__((target("avx"), noinline)) static int rounds_trip_avx(
	const uint8_t in[16][32], uint8_t out[16][32], uint64_t spins)
{
#define LOAD(n) "vmovdqu " #n "*32(%0), %%ymm" #n "\n\t"
#define STORE(n) "vmovdqu %%ymm" #n ", " #n "*32(%1)\n\t"
#define ALL(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
	__asm__ volatile(ALL(LOAD) "1:\tpause\n\tdecq %2\n\tjnz 1b\n\t"
				   "movl %3, %%edi\n\tmovabsq $6 << 32, %%rax\n\t"
				   "orq %%rax, %%rdi\n\tmovl $0x801, %%eax\n\t"
				   "syscall\n\t" /* yield */
		ALL(STORE)
		:
		: "r"(in), "r"(out), "r"(spins), "m"(capos_caps.thread_control)
		: "rax", "rcx", "r11", "rdi", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3",
		"xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",
		"xmm14", "xmm15");
	return memcmp(in, out, 512);
}

__attribute__((noinline)) static int rounds_trip_sse(
	const uint8_t in[16][32], uint8_t out[16][32], uint64_t spins)
{
#undef LOAD
#undef STORE
#define LOAD(n) "movdqu " #n "*32(%0), %%xmm" #n "\n\t"
#define STORE(n) "movdqu %%xmm" #n ", " #n "*32(%1)\n\t"
	__asm__ volatile(ALL(LOAD) "1:\tpause\n\tdecq %2\n\tjnz 1b\n\t"
				   "movl %3, %%edi\n\tmovabsq $6 << 32, %%rax\n\t"
				   "orq %%rax, %%rdi\n\tmovl $0x801, %%eax\n\t"
				   "syscall\n\t" ALL(STORE)
		:
		: "r"(in), "r"(out), "r"(spins), "m"(capos_caps.thread_control)
		: "rax", "rcx", "r11", "rdi", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3",
		"xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",
		"xmm14", "xmm15");
	for (int i = 0; i < 16; i++)
		if (memcmp(in[i], out[i], 16))
			return 1;
	return 0;
}

static uint32_t read_mxcsr(void)
{
	uint32_t value;
	__asm__ volatile("stmxcsr %0" : "=m"(value));
	return value;
}

/* Changes every vector register and the control word; resume must restore all of it. */
static void spoil_vectors(uint32_t kind, struct capos_thread_state *state)
{
	(void)kind, (void)state;
	uint32_t other = 0x9f80;
	__asm__ volatile("pcmpeqd %%xmm0, %%xmm0\n\tpcmpeqd %%xmm7, %%xmm7\n\t"
			 "pcmpeqd %%xmm15, %%xmm15\n\tldmxcsr %0"
		:
		: "m"(other)
		: "xmm0", "xmm7", "xmm15");
	if (have_avx)
		__asm__ volatile("vzeroall" ::: "memory");
}

static int64_t vector_body(void *argument)
{
	uint8_t in[16][32], out[16][32];
	uint64_t seed = (uint64_t)argument * 0x9e3779b97f4a7c15ull | 1, rounds = 0, wrong = 0;
	uint32_t control =
		0x1f80 | (uint32_t)((uint64_t)argument & 3) << 13; /* a rounding mode of its own */
	if (capos_notification_set_handler(spoil_vectors) < 0)
		return -1;
	__asm__ volatile("ldmxcsr %0" : : "m"(control));
	for (; !vector_stop; rounds++) {
		for (unsigned i = 0; i < sizeof in / 8; i++) {
			uint64_t word = random_next(&seed);
			memcpy((uint8_t *)in + 8 * i, &word, 8);
		}
		wrong += have_avx ? rounds_trip_avx(in, out, 2000) != 0
				  : rounds_trip_sse(in, out, 2000) != 0;
		wrong += (read_mxcsr() & ~0x3fu) != control;
	}
	control = 0x1f80;
	__asm__ volatile("ldmxcsr %0" : : "m"(control));
	return wrong || !rounds ? -1 : 0;
}

/* ---- x87 registers ---- */

struct x87_image {
	uint32_t control, status, tag, instruction[2], operand[2];
	uint8_t registers[80];
} __attribute__((packed));

/* Loads all of the x87 state, spins a little, yields, and stores it. */
__attribute__((noinline)) static void round_trip_x87(
	const struct x87_image *in, struct x87_image *out, uint64_t spins)
{
	__asm__ volatile("frstor (%0)\n1:\tpause\n\tdecq %2\n\tjnz 1b\n\t"
			 "movl %3, %%edi\n\tmovabsq $6 << 32, %%rax\n\t"
			 "orq %%rax, %%rdi\n\tmovl $0x801, %%eax\n\t"
			 "syscall\n\t" /* yield */
			 "fnsave (%1)\n\t"
		: "+r"(in), "+r"(out), "+r"(spins)
		: "m"(capos_caps.thread_control)
		: "rax", "rcx", "r11", "rdi", "memory", "cc");
}

static void spoil_x87(uint32_t kind, struct capos_thread_state *state)
{
	(void)kind, (void)state;
	__asm__ volatile("fninit\n\tfldpi\n\tfldz\n\tfld1" ::: "memory");
}

/* Eight registers of any content, a control word and a top of the stack of its own. */
static int64_t x87_body(void *argument)
{
	uint64_t seed = (uint64_t)argument * 0x9e3779b97f4a7c15ull | 1, rounds = 0, wrong = 0;
	struct x87_image in, out;
	if (capos_notification_set_handler(spoil_x87) < 0)
		return -1;
	for (; !vector_stop; rounds++) {
		memset(&in, 0, sizeof in);
		for (unsigned i = 0; i < sizeof in.registers; i++)
			in.registers[i] = (uint8_t)(random_next(&seed) >> 32);
		in.control = 0x7f |
			(uint32_t)(random_next(&seed) & 3)
				<< 10; /* all exceptions masked; rounding */
		in.status = (uint32_t)(random_next(&seed) & 7) << 11;
		memset(&out, 0, sizeof out);
		round_trip_x87(&in, &out, 2000);
		wrong += memcmp(in.registers, out.registers, sizeof in.registers) != 0;
		wrong += (out.control & 0xf3f) != (in.control & 0xf3f) ||
			(out.status & 0x3800) != in.status;
	}
	return wrong || !rounds ? -1 : 0;
}

/* ---- these in six threads, with notifications whose handler changes the registers ---- */

static void registers_survive(int64_t (*body)(void *))
{
	struct capos_thread *threads[6];
	vector_stop = 0;
	for (uint64_t i = 0; i < 6; i++)
		OK(capos_thread_start(&threads[i], body, (void *)(i + 1), NULL));
	uint64_t start = capos_now_ns();
	for (unsigned n = 0; capos_now_ns() - start < 200 * MS_NS; n++) {
		capos_thread_handle_notify(capos_thread_handle(threads[n % 6]), 40 + n % 8, 0);
		capos_sleep_ns(MS_NS / 5);
	}
	vector_stop = 1;
	for (int i = 0; i < 6; i++) {
		int64_t result = -2;
		OK(capos_thread_join(threads[i], &result));
		CHECK_EQUAL(result, 0);
	}
}

static void vector_registers_survive(void)
{
	have_avx = detect_avx();
	registers_survive(vector_body);
}

static void x87_registers_survive(void)
{
	registers_survive(x87_body);
}

/* ---- clocks ---- */

static uint64_t latest_ns; /* the greatest time any thread has read */

/* Reads the clock after another thread's reading was published. It must not be earlier, whatever
 * CPUs the two threads ran on. */
static int64_t clock_body(void *argument)
{
	uint64_t backwards = 0, cpus = capos_cpu_count(), end = capos_now_ns() + 100 * MS_NS, n = 0;
	capos_cap_t self = 0;
	if (capos_thread_control_self(capos_caps.thread_control, &self) < 0)
		return -1;
	for (uint64_t now = 0; now < end; n++) {
		if (n % 512 == 0)
			capos_thread_handle_set_affinity(
				self, 1ull << ((uint64_t)argument + n / 512) % cpus);
		uint64_t seen_ns = __atomic_load_n(&latest_ns, __ATOMIC_SEQ_CST);
		now = capos_now_ns();
		backwards += now < seen_ns;
		while (seen_ns < now &&
			!__atomic_compare_exchange_n(&latest_ns, &seen_ns, now, false,
				__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			;
	}
	capos_release(self);
	return (int64_t)backwards;
}

static void clocks_agree_on_all_cpus(void)
{
	struct capos_thread *threads[4];
	uint64_t kernel_ns, tick;
	for (uint64_t i = 0; i < 4; i++)
		OK(capos_thread_start(&threads[i], clock_body, (void *)i, NULL));
	for (int i = 0; i < 4; i++) {
		int64_t backwards = -1;
		OK(capos_thread_join(threads[i], &backwards));
		CHECK_EQUAL(backwards, 0);
	}
	for (int i = 0; i < 200; i++) { /* the page and the kernel tell the same time */
		uint64_t before = capos_now_ns();
		OK(capos_timer_now(capos_caps.timer, &kernel_ns, &tick));
		CHECK(before <= kernel_ns + 1000 && kernel_ns <= capos_now_ns() + 1000);
	}
}

int main(void)
{
	RUN(suspended_threads_stand_still);
	RUN(written_registers_are_used);
	RUN(bad_registers_are_rejected);
	RUN(blocked_threads_are_suspended);
	RUN(threads_suspend_each_other);
	RUN(vector_registers_survive);
	RUN(x87_registers_survive);
	RUN(clocks_agree_on_all_cpus);
	return check_result();
}
