/* Programs that are ended in different ways, or end themselves while their threads are in the
 * middle of calls. The exit status tells the cause (139 bad address or protection, 136 arithmetic,
 * 132 illegal instruction, 133 breakpoint, 135 out of memory). After each program the runner checks
 * that nothing of it is left and that the next one runs.
 *
 * Faults without a handler, and with handlers that do not help:
 * // test: case read-nil 139
 * // test: case write-text 139
 * // test: case jump-kernel 139
 * // test: case jump-nowhere 139
 * // test: case halt 139
 * // test: case non-canonical 139
 * // test: case divide 136
 * // test: case float 136
 * // test: case illegal 132
 * // test: case breakpoint 133
 * // test: case single-step 133
 * // test: case overflow-stack 139
 * // test: case fault-in-handler 139
 * // test: case fault-masked 136
 * // test: case handler-nowhere 139
 * // test: case no-room-for-frame 132
 * // test: case frame-read-only 132
 * // test: case frame-unmapped 132
 * // test: case notify-unmapped 139
 * // test: case resume-garbage 139
 * // test: case out-of-memory 135
 *
 * Ends with other threads:
 * // test: case thread-faults 136
 * // test: case first-thread-ends 9
 * // test: case all-exit-at-once 3
 * // test: case exit-at-once 7
 * // test: case exit-later 7
 * // test: case exit-while-spawning 7
 * // test: case exit-while-suspended 7
 * // test: case exit-while-unmapping 7
 * // test: case exit-while-waiting 7
 * // test: case threads-end-while-unmapping 7
 */
#include "raw_thread.h"

static void set_handler(uint64_t handler, uint64_t stack, uint64_t size)
{
	if (capos_thread_control_set_notification(capos_caps.thread_control, handler, stack, size) <
		0)
		capos_exit(99, CAPOS_EXIT_SCOPE_PROCESS);
}

/* ---- faults ---- */

static void read_nil(void)
{
	__asm__ volatile("movq 0, %%rax" : : : "rax");
}

static void write_text(void)
{
	__asm__ volatile("movb $0, (%0)" : : "r"(write_text));
}

static void jump_kernel(void)
{
	__asm__ volatile("jmp *%0" : : "r"(0xffffffff80100000));
}

static void jump_nowhere(void)
{
	__asm__ volatile("xorl %%esp, %%esp\n\tjmp *%0" : : "r"(0x123456789));
}

static void halt(void)
{
	__asm__ volatile("hlt");
}

static void non_canonical(void)
{
	__asm__ volatile("movq (%0), %%rax" : : "r"(NON_CANONICAL) : "rax");
}

static void divide(void)
{
	__asm__ volatile("xorl %%edx, %%edx\n\txorl %%ecx, %%ecx\n\t"
			 "divl %%ecx"
		:
		:
		: "rax", "rcx", "rdx");
}

static void divide_float(void)
{
	static const uint16_t unmasked = 0x37f & ~4;
	__asm__ volatile("fninit\n\tfldcw %0\n\tfld1\n\tfldz\n\tfdivrp\n\tfwait" : : "m"(unmasked));
}

static void illegal(void)
{
	__asm__ volatile("ud2");
}

static void breakpoint(void)
{
	__asm__ volatile("int3");
}

static void single_step(void)
{
	__asm__ volatile("pushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\tnop" ::: "memory", "cc");
}

static void overflow_stack(void)
{
	__asm__ volatile("1:\tpushq $0\n\tjmp 1b" ::: "memory");
}

static void fault_again(uint32_t kind, struct capos_thread_state *state)
{
	(void)kind, (void)state;
	read_nil();
}

static void fault_in_handler(void)
{
	capos_notification_set_handler(fault_again);
	illegal();
}

static void fault_masked(void)
{
	capos_notification_set_handler(fault_again);
	capos_notification_mask(1u << CAPOS_NOTIFICATION_KIND_DIVIDE, 0, NULL);
	divide();
}

static void handler_nowhere(void)
{
	set_handler(0x10000, vm_map(16 * PAGE, WRITE), 16 * PAGE);
	illegal();
}

static void no_room_for_frame(void)
{
	static uint8_t stack[256];
	set_handler((uint64_t)raw_exit, (uint64_t)stack, sizeof stack);
	illegal();
}

static void frame_read_only(void)
{
	set_handler((uint64_t)raw_exit, vm_map(16 * PAGE, READ), 16 * PAGE);
	illegal();
}

static void frame_unmapped(void)
{
	set_handler((uint64_t)raw_exit, CAPOS_USER_TOP - 16 * PAGE, 16 * PAGE);
	illegal();
}

static void notify_unmapped(void)
{
	capos_cap_t self;
	set_handler((uint64_t)raw_exit, CAPOS_USER_TOP - 16 * PAGE, 16 * PAGE);
	if (capos_thread_control_self(capos_caps.thread_control, &self) == 0)
		capos_thread_handle_notify(self, 40, 0);
}

/* A ThreadState of ones, except where resume would fail: the program continues, at an address where
 * there is nothing. */
static void resume_garbage(void)
{
	struct capos_thread_state state;
	memset(&state, 0xff, sizeof state);
	state.rip = 0xdeadbeef;
	state.fs_base = 0xdeadbee0;
	state.xsave_address = 0;
	state.rflags = ~0ull & ~0x40100ull;
	capos_thread_control_resume(capos_caps.thread_control, (uint64_t)&state);
}

/* Demand-zero memory is charged when it is touched; this touches more than the machine has. */
static void out_of_memory(void)
{
	uint64_t size = vm_usage().machine_pages * 2 * PAGE,
		 range = vm_map(size, WRITE | DEMAND_ZERO);
	for (uint64_t page = 0; page < size; page += PAGE)
		*(volatile char *)(range + page) = 1;
}

/* ---- ends with other threads ---- */

static int64_t divide_in_thread(void *argument)
{
	capos_sleep_ns(MS_NS);
	divide();
	return (int64_t)argument;
}

static void start(int64_t (*body)(void *), void *argument)
{
	struct capos_thread *thread;
	if (capos_thread_start(&thread, body, argument, NULL) < 0)
		capos_exit(98, CAPOS_EXIT_SCOPE_PROCESS);
}

static uint32_t word;

/* One thread in each call that blocks, and some that do not. */
static int64_t be_busy(void *argument)
{
	static uint64_t object_word;
	switch ((uint64_t)argument % 8) {
	case 0:
		return capos_park(&word, 0, CAPOS_WAIT_FOREVER);
	case 1:
		return capos_park(&word, 0, capos_now_ns() + 3600000 * MS_NS);
	case 2:
		return capos_timer_sleep(capos_caps.timer, 3600000 * MS_NS);
	case 3:
		return capos_timer_sleep_until_message(capos_caps.timer, ~0ull);
	case 4: {
		int64_t code;
		capos_cap_t handle = raw_spawn(raw_park, (uint64_t)&word, 0);
		return capos_thread_handle_join(handle, CAPOS_WAIT_FOREVER, &code);
	}
	case 5:
		for (;;)
			__atomic_fetch_add(&object_word, 1, __ATOMIC_RELAXED);
	case 6:
		for (;;) {
			uint64_t range = vm_map(8 * PAGE, WRITE);
			*(volatile char *)range = 1;
			vm_unmap(range, 8 * PAGE);
		}
	default:
		for (;;)
			capos_thread_yield();
	}
}

static void thread_faults(void)
{
	for (uint64_t i = 0; i < 8; i++)
		start(be_busy, (void *)i);
	start(divide_in_thread, NULL);
	capos_park(&word, 0, CAPOS_WAIT_FOREVER);
}

static int64_t end_with_nine(void *first)
{
	int64_t code;
	if (capos_thread_handle_join((capos_cap_t)(uint64_t)first, CAPOS_WAIT_FOREVER, &code) < 0)
		capos_exit(98, CAPOS_EXIT_SCOPE_PROCESS);
	capos_exit(9, CAPOS_EXIT_SCOPE_THREAD);
}

static void first_thread_ends(void)
{
	capos_cap_t self = 0;
	capos_thread_control_self(capos_caps.thread_control, &self);
	start(end_with_nine, (void *)(uint64_t)self);
	capos_exit(1, CAPOS_EXIT_SCOPE_THREAD);
}

static int64_t exit_with_three(void *argument)
{
	while (!__atomic_load_n(&word, __ATOMIC_SEQ_CST))
		;
	(void)argument;
	capos_exit(3, CAPOS_EXIT_SCOPE_PROCESS);
}

static void all_exit_at_once(void)
{
	for (int i = 0; i < 8; i++)
		start(exit_with_three, NULL);
	__atomic_store_n(&word, 1, __ATOMIC_SEQ_CST);
	capos_exit(3, CAPOS_EXIT_SCOPE_PROCESS);
}

static int64_t exit_with_seven(void *argument)
{
	capos_sleep_ns((uint64_t)argument);
	capos_exit(7, CAPOS_EXIT_SCOPE_PROCESS);
}

static void exit_after(uint64_t delay_ns)
{
	for (uint64_t i = 0; i < 24; i++)
		start(be_busy, (void *)i);
	start(exit_with_seven, (void *)delay_ns);
	capos_park(&word, 0, CAPOS_WAIT_FOREVER);
}

static void exit_at_once(void)
{
	exit_after(0);
}

static void exit_later(void)
{
	exit_after(20 * MS_NS);
}

static int64_t spawn_without_end(void *argument)
{
	(void)argument;
	for (;;) {
		capos_cap_t handle;
		if (capos_thread_spawner_spawn(capos_caps.thread_spawner, (uint64_t)raw_exit, 0, 0,
			    0, 0, "", &handle) == 0)
			capos_release(handle);
	}
}

static void exit_while_spawning(void)
{
	for (int i = 0; i < 4; i++)
		start(spawn_without_end, NULL);
	start(exit_with_seven, (void *)(10 * MS_NS));
	spawn_without_end(NULL);
}

/* Threads that stay suspended, and one that waits for a thread which never stops by itself. */
static void exit_while_suspended(void)
{
	static uint64_t flag;
	raw_park_space = capos_caps.park;
	for (int i = 0; i < 8; i++) {
		capos_cap_t handle = raw_spawn(i % 2 ? raw_spin : raw_park, (uint64_t)&flag, 0);
		capos_thread_handle_suspend(handle);
		if (i % 3 == 0)
			capos_release(handle);
	}
	start(exit_with_seven, (void *)(5 * MS_NS));
	capos_park(&word, 0, CAPOS_WAIT_FOREVER);
}

static uint64_t shared_range;

static int64_t use_and_unmap(void *argument)
{
	for (uint64_t i = 0;; i++) {
		vm_commit(shared_range, 16 * PAGE, WRITE);
		capos_system_info_process(capos_caps.system,
			(void *)(shared_range + (i + (uint64_t)argument) % 16 * PAGE), 64);
		capos_console_write(capos_caps.standard_error, (void *)shared_range, 0);
		vm_decommit(shared_range + i % 16 * PAGE, 3 * PAGE);
	}
}

static void exit_while_unmapping(void)
{
	shared_range = vm_reserve(32 * PAGE);
	for (uint64_t i = 0; i < 6; i++)
		start(use_and_unmap, (void *)i);
	start(exit_with_seven, (void *)(30 * MS_NS));
	capos_park(&word, 0, CAPOS_WAIT_FOREVER);
}

#define LARGE_PAGES 256

static int64_t protect_without_end(void *argument)
{
	for (uint64_t i = (uint64_t)argument;; i++)
		vm_protect(shared_range, LARGE_PAGES * LARGE, i % 2 ? READ : WRITE);
}

/* A change in steps has been interrupted, and threads wait for it to end. */
static void exit_while_waiting(void)
{
	shared_range = vm_reserve(LARGE_PAGES * LARGE);
	vm_commit(shared_range, LARGE_PAGES * LARGE, WRITE | DEMAND_ZERO);
	for (uint64_t i = 0; i < LARGE_PAGES; i++)
		*(volatile char *)(shared_range + i * LARGE) = 1;
	for (uint64_t i = 0; i < 6; i++)
		start(protect_without_end, (void *)i);
	start(exit_with_seven, (void *)(50 * MS_NS));
	capos_park(&word, 0, CAPOS_WAIT_FOREVER);
}

#define MANY_REGIONS 3000

static int64_t unmap_without_end(void *argument)
{
	for (;;)
		vm_unmap((uint64_t)argument, CAPOS_USER_TOP - PAGE - (uint64_t)argument);
}

/* An attempt to unmap everything takes steps before it fails. Threads begin and end meanwhile, with
 * their rings and stacks in that range. */
static void threads_end_while_unmapping(void)
{
	capos_cap_t object = 0;
	uint64_t base = 0x8000000, address = 0;
	capos_memory_allocator_create(capos_caps.memory_allocator, PAGE, &object);
	for (uint64_t i = 0; i < MANY_REGIONS; i++)
		if (capos_memory_object_map(object, base + i * PAGE, 0, PAGE, READ, &address) < 0 ||
			address != base + i * PAGE)
			capos_exit(98, CAPOS_EXIT_SCOPE_PROCESS);
	start(unmap_without_end, (void *)base);
	start(exit_with_seven, (void *)(100 * MS_NS));
	spawn_without_end(NULL);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} cases[] = {
		{ "read-nil", read_nil },
		{ "write-text", write_text },
		{ "jump-kernel", jump_kernel },
		{ "jump-nowhere", jump_nowhere },
		{ "halt", halt },
		{ "non-canonical", non_canonical },
		{ "divide", divide },
		{ "float", divide_float },
		{ "illegal", illegal },
		{ "breakpoint", breakpoint },
		{ "single-step", single_step },
		{ "overflow-stack", overflow_stack },
		{ "fault-in-handler", fault_in_handler },
		{ "fault-masked", fault_masked },
		{ "handler-nowhere", handler_nowhere },
		{ "no-room-for-frame", no_room_for_frame },
		{ "frame-read-only", frame_read_only },
		{ "frame-unmapped", frame_unmapped },
		{ "notify-unmapped", notify_unmapped },
		{ "resume-garbage", resume_garbage },
		{ "out-of-memory", out_of_memory },
		{ "thread-faults", thread_faults },
		{ "first-thread-ends", first_thread_ends },
		{ "all-exit-at-once", all_exit_at_once },
		{ "exit-at-once", exit_at_once },
		{ "exit-later", exit_later },
		{ "exit-while-spawning", exit_while_spawning },
		{ "exit-while-suspended", exit_while_suspended },
		{ "exit-while-unmapping", exit_while_unmapping },
		{ "exit-while-waiting", exit_while_waiting },
		{ "threads-end-while-unmapping", threads_end_while_unmapping },
	};
	for (unsigned i = 0; argc == 2 && i < sizeof cases / sizeof cases[0]; i++)
		if (strcmp(argv[1], cases[i].name) == 0)
			cases[i].run();
	return 97; /* no such case, or it did not end */
}
