/* Capabilities on behalf of another process: a child sends those for its own address space, memory,
 * threads and children to its parent, which acts on the child by them, as a loader, a pager or a
 * debugger does. The kernel compares its counts of objects and frames after the program.
 */
#include "raw_thread.h"
#include "spawn.h"

#define FOREVER CAPOS_WAIT_FOREVER
#define LENT_PAGES 4096u
#define SENT 5u

/* ---- roles ---- */

/* Sends what it has and a handle of its thread, one in a message, and waits for the last answer,
 * which is its exit code. */
static int role_lend(int argc, char **argv)
{
	struct capos_message m = { { 0 } };
	capos_cap_t self = 0;
	(void)argc, (void)argv;
	raw_park_space = capos_caps.park;
	OK(capos_thread_control_self(capos_caps.thread_control, &self));
	const capos_cap_t sent[SENT] = { capos_caps.vm, capos_caps.memory_allocator,
		capos_caps.thread_spawner, capos_caps.process_spawner, self };
	for (unsigned i = 0; i < SENT; i++) {
		capos_cap_t cap = sent[i];
		if (capos_endpoint_call_cap(capos_cap("facet"), &m, &cap, 0, FOREVER) != 0)
			return 1;
	}
	capos_cap_t none = 0;
	m.words[0] = 0;
	if (capos_endpoint_call_cap(capos_cap("facet"), &m, &none, 0, FOREVER) != 0)
		return 2;
	return (int)m.words[0];
}

/* Has its own address space by one name and that of its parent by another. */
static int role_names(int argc, char **argv)
{
	uint64_t mine = 0, its = strtoull(argv[2], NULL, 0);
	struct capos_region_info info;
	(void)argc;
	if (capos_virtual_memory_map(capos_caps.vm, 0, PAGE, WRITE, &mine) != 0)
		return 1;
	*(volatile uint64_t *)mine = 1;
	if (capos_virtual_memory_protect(capos_cap("parent"), its, PAGE, READ) != 0)
		return 2;
	if (capos_virtual_memory_query(capos_caps.vm, its, 0, &info, sizeof info) != sizeof info ||
		info.state != CAPOS_REGION_STATE_FREE)
		return 3;
	return 7;
}

static int role_exit(int argc, char **argv)
{
	(void)argc, (void)argv;
	return 11;
}

static int role_wait(int argc, char **argv)
{
	(void)argc, (void)argv;
	capos_sleep_ns(CAPOS_WAIT_FOREVER / 2);
	return 0;
}

static void make_endpoint(capos_cap_t factory, capos_cap_t *endpoint, capos_cap_t *facet)
{
	OK(capos_endpoint_factory_create(factory, 4, endpoint));
	OK(capos_endpoint_make_facet(*endpoint, 1, facet));
	OK(capos_endpoint_accept(*endpoint, 1));
}

/* Sends its address space and gets it back; sends it where nobody receives until it is too late.
 * Then its capabilities for it are all its own. */
static int role_returns(int argc, char **argv)
{
	struct capos_message m = { { 0 } };
	capos_cap_t cap = capos_caps.vm, facet = capos_cap("facet"), before = capos_caps.vm;
	capos_cap_t silent = 0, to_silent = 0;
	uint64_t at = 0;
	(void)argc, (void)argv;
	make_endpoint(capos_cap("endpoint_factory"), &silent, &to_silent);
	if (capos_endpoint_call_cap(facet, &m, &cap, CAPOS_MESSAGE_TAKES, FOREVER) != 0)
		return 1;
	if (!cap || cap == before || capos_virtual_memory_map(cap, 0, PAGE, WRITE, &at) != 0)
		return 2;
	*(volatile uint64_t *)at = 1;
	cap = before;
	if (capos_endpoint_call_cap(to_silent, &m, &cap, CAPOS_MESSAGE_MOVES, capos_now_ns()) !=
		CAPOS_E(TIMED_OUT))
		return 3;
	if (capos_virtual_memory_unmap(before, at, PAGE) != 0)
		return 4;
	cap = 0;
	return capos_endpoint_call_cap(facet, &m, &cap, 0, FOREVER) == 0 ? 7 : 5;
}

static int64_t call_own(void *facet)
{
	struct capos_message m = { { 0 } };
	capos_cap_t none = 0;
	return capos_endpoint_call_cap((capos_cap_t)(uint64_t)facet, &m, &none, 0, FOREVER);
}

/* Sends its address space until it can be charged for no more. Then it can neither lend it nor
 * answer with it. */
static int role_exhausts(int argc, char **argv)
{
	struct capos_message m = { { 0 } };
	struct capos_message_caps caps = { .count = 1 };
	struct capos_thread *thread = NULL;
	capos_cap_t endpoint = 0, facet = 0, cap = 0, vm = capos_caps.vm;
	uint64_t tag = 0;
	int64_t status;
	(void)argc, (void)argv;
	make_endpoint(capos_cap("endpoint_factory"), &endpoint, &facet);
	OK(capos_thread_start(&thread, call_own, (void *)(uint64_t)facet, NULL));
	CHECK_EQUAL(capos_endpoint_receive_cap(endpoint, &m, &cap, &tag, FOREVER),
		CAPOS_RECEIVE_RESULT_CALL);
	while (capos_memory_allocator_create(capos_caps.memory_allocator, PAGE, &cap) == 0)
		;
	do {
		cap = vm;
		status = capos_endpoint_call_cap(capos_cap("facet"), &m, &cap, 0, FOREVER);
	} while (status == 0);
	CHECK_FAILS(OPCODE_ENDPOINT_CALL, NO_MEMORY, status);
	for (uint32_t flags = 0; flags <= CAPOS_MESSAGE_MOVES; flags += CAPOS_MESSAGE_MOVES) {
		cap = vm;
		CHECK_EQUAL(capos_endpoint_call_cap(capos_cap("facet"), &m, &cap, flags, FOREVER),
			CAPOS_E(NO_MEMORY));
		CHECK_FAILS(OPCODE_REPLY, NO_MEMORY, capos_endpoint_reply_cap(&m, vm, flags, 0));
		cap = vm;
		CHECK_FAILS(OPCODE_REPLY_RECEIVE, NO_MEMORY,
			capos_endpoint_reply_receive_cap(
				endpoint, &m, &cap, flags, 0, &tag, FOREVER));
		caps.moves = flags != 0;
		caps.caps[0] = vm;
		CHECK_FAILS(OPCODE_RETURN, NO_MEMORY, capos_ring_reply(&m, sizeof m, &caps, 0));
	}
	CHECK_FAILS(LEASE_FACTORY_CREATE, NO_MEMORY,
		capos_lease_factory_create(capos_cap("lease_factory"), vm, &cap));
	CHECK_EQUAL(vm_usage().committed_pages, vm_usage().committed_limit);
	CHECK_EQUAL(capos_endpoint_reply(&m, 0), CAPOS_REPLY_RESULT_ANSWERED);
	OK(capos_thread_join(thread, &status));
	OK(status);
	cap = 0;
	OK(capos_endpoint_call_cap(capos_cap("facet"), &m, &cap, 0, FOREVER));
	provoked_print();
	return check_why[0] ? (puts(check_why), 1) : 7;
}

static const struct role roles[] = { { "lend", role_lend }, { "names", role_names },
	{ "exit", role_exit }, { "wait", role_wait }, { "returns", role_returns },
	{ "exhausts", role_exhausts } };

/* ---- the parent ---- */

static capos_cap_t endpoint, facet;

/* A child that runs role_lend, and what it has sent. */
static struct {
	capos_cap_t process, vm, memory, threads, spawner, thread;
} lent;

static uint32_t slots(void)
{
	struct capos_process_info info = { 0 };
	CHECK_EQUAL(capos_system_info_process(capos_caps.system, &info, sizeof info), sizeof info);
	return info.capabilities;
}

static void make(void)
{
	make_endpoint(capos_caps.endpoint_factory, &endpoint, &facet);
}

static void unmake(void)
{
	OK(capos_release(facet));
	OK(capos_release(endpoint));
}

static capos_cap_t receive(struct capos_message *m)
{
	capos_cap_t cap = 0;
	uint64_t tag;
	CHECK_EQUAL(capos_endpoint_receive_cap(endpoint, m, &cap, &tag, FOREVER),
		CAPOS_RECEIVE_RESULT_CALL);
	return cap;
}

static void answer(struct capos_message *m)
{
	CHECK_EQUAL(capos_endpoint_reply(m, 0), CAPOS_REPLY_RESULT_ANSWERED);
}

static capos_cap_t start(const char *role, const char *more, uint64_t pages)
{
	struct grants grants = usual_grants();
	struct strings args = arguments(role, more);
	capos_cap_t process = 0;
	grant(&grants, "facet", facet);
	grant(&grants, "endpoint_factory", capos_caps.endpoint_factory);
	grant(&grants, "lease_factory", capos_caps.lease_factory);
	grant(&grants, "parent", capos_caps.vm);
	OK(spawn_with(&grants, &args, pages, &process));
	return process;
}

/* The child waits for an answer afterwards. */
static void begin(void)
{
	struct capos_message m = { { 0 } };
	make();
	lent.process = start("lend", NULL, LENT_PAGES);
	capos_cap_t *const places[SENT] = { &lent.vm, &lent.memory, &lent.threads, &lent.spawner,
		&lent.thread };
	for (unsigned i = 0; i < SENT; i++) {
		*places[i] = receive(&m);
		CHECK(*places[i] != 0);
		answer(&m);
	}
	CHECK_EQUAL(receive(&m), 0);
}

/* Its process has ended. */
static void release_lent(void)
{
	OK(capos_release(lent.vm));
	OK(capos_release(lent.memory));
	OK(capos_release(lent.threads));
	OK(capos_release(lent.spawner));
	OK(capos_release(lent.thread));
	unmake();
}

/* No answer goes to the lender. */
static void lender_ends(uint32_t kind, int32_t code)
{
	struct capos_message m = { { 0 } };
	finishes(lent.process, kind, code);
	CHECK_EQUAL(capos_endpoint_reply(&m, 0), CAPOS_REPLY_RESULT_GONE);
}

static void kill_lender(void)
{
	OK(capos_process_kill(lent.process));
	lender_ends(CAPOS_EXIT_KIND_KILLED, CAPOS_NOTIFICATION_KIND_TERMINATE);
}

static void end(int code)
{
	struct capos_message m = { { (uint64_t)code } };
	answer(&m);
	finishes(lent.process, CAPOS_EXIT_KIND_EXITED, code);
	release_lent();
}

static struct capos_memory_usage usage_of(capos_cap_t process)
{
	struct capos_memory_usage usage = { 0 };
	CHECK_EQUAL(capos_process_memory(process, &usage, sizeof usage), sizeof usage);
	usage.committed_pages -= usage.kernel_pages;
	return usage;
}

static struct capos_region_info lent_query(uint64_t address)
{
	struct capos_region_info info = { 0 };
	CHECK_EQUAL(
		capos_virtual_memory_query(lent.vm, address, 0, &info, sizeof info), sizeof info);
	return info;
}

/* ---- address space ---- */

static void memory_is_the_lenders(void)
{
	begin();
	struct capos_memory_usage own = program_usage(), its = usage_of(lent.process), told;
	uint64_t at = 0, reserved = 0;
	OK(capos_virtual_memory_map(lent.vm, 0, 8 * PAGE, WRITE, &at));
	CHECK_EQUAL(usage_of(lent.process).committed_pages, its.committed_pages + 8);
	CHECK_EQUAL(lent_query(at).state, CAPOS_REGION_STATE_COMMITTED);
	CHECK_EQUAL(lent_query(at).size, 8 * PAGE);
	OK(capos_virtual_memory_protect(lent.vm, at, 4 * PAGE, READ));
	CHECK_EQUAL(lent_query(at).prot, CAPOS_PROT_READ);
	OK(capos_virtual_memory_decommit(lent.vm, at, 2 * PAGE));
	CHECK_EQUAL(lent_query(at).state, CAPOS_REGION_STATE_RESERVED);
	OK(capos_virtual_memory_commit(lent.vm, at, PAGE, WRITE));
	CHECK_EQUAL(usage_of(lent.process).committed_pages, its.committed_pages + 7);
	OK(capos_virtual_memory_reserve(lent.vm, 0, 16 * PAGE, &reserved));
	CHECK_EQUAL(usage_of(lent.process).reserved_pages, its.reserved_pages + 24);
	CHECK_EQUAL(capos_virtual_memory_usage(lent.vm, &told, sizeof told), sizeof told);
	CHECK_EQUAL(told.reserved_pages, its.reserved_pages + 24);
	CHECK_USAGE_IS(own);
	OK(capos_virtual_memory_unmap(lent.vm, at, 8 * PAGE));
	OK(capos_virtual_memory_unmap(lent.vm, reserved, 16 * PAGE));
	CHECK_EQUAL(lent_query(at).state, CAPOS_REGION_STATE_FREE);
	CHECK_EQUAL(usage_of(lent.process).committed_pages, its.committed_pages);
	CHECK_EQUAL(usage_of(lent.process).reserved_pages, its.reserved_pages);
	end(5);
}

static void errors_are_the_lenders(void)
{
	begin();
	uint64_t at = 0;
	capos_cap_t object = 0;
	CHECK_EQUAL(capos_virtual_memory_map(lent.vm, 1, PAGE, WRITE, &at), CAPOS_E(MISALIGNED));
	CHECK_EQUAL(capos_virtual_memory_map(lent.vm, 0, LENT_PAGES * PAGE, WRITE, &at),
		CAPOS_E(NO_MEMORY));
	CHECK_EQUAL(capos_virtual_memory_unmap(lent.vm, PAGE, PAGE), CAPOS_E(NOT_RESERVED));
	CHECK_EQUAL(capos_memory_allocator_create(lent.memory, LENT_PAGES * PAGE, &object),
		CAPOS_E(NO_MEMORY));
	CHECK_EQUAL(capos_thread_spawner_spawn(lent.threads, 0, 0, 0, 0, 0, "", &object),
		CAPOS_E(INVALID_ARGUMENT));
	CHECK_EQUAL(capos_virtual_memory_query(lent.vm, 0, 0, (void *)KERNEL_HALF, 64),
		CAPOS_E(BAD_ADDRESS));
	end(0);
}

#define MAP_OBJECT_FAILS(error, object, hint, offset, size, prot)                 \
	do {                                                                      \
		CHECK_FAILS(VIRTUAL_MEMORY_MAP_OBJECT, error,                     \
			capos_virtual_memory_map_object(                          \
				lent.vm, object, hint, offset, size, prot, &at)); \
		CHECK_FAILS(VIRTUAL_MEMORY_MAP_OBJECT, error,                     \
			capos_virtual_memory_map_object_message(                  \
				lent.vm, object, hint, offset, size, prot, &at)); \
	} while (0)

static void objects_are_mapped_there(void)
{
	begin();
	struct capos_memory_usage its = usage_of(lent.process);
	uint64_t at = 0, here = 0, top = CAPOS_USER_TOP;
	capos_cap_t object = 0, lease = 0, copy = 0;
	OK(capos_memory_allocator_create(lent.memory, 2 * PAGE, &object));
	CHECK_EQUAL(usage_of(lent.process).committed_pages, its.committed_pages + 2);
	OK(capos_memory_object_map(object, 0, 0, 2 * PAGE, WRITE, &here));
	OK(capos_virtual_memory_map_object(lent.vm, object, 0, PAGE, PAGE, READ, &at));
	CHECK_EQUAL(lent_query(at).state, CAPOS_REGION_STATE_OBJECT);
	OK(capos_virtual_memory_protect(lent.vm, at, PAGE, WRITE));
	MAP_OBJECT_FAILS(NOT_FOUND, 0, 0, 0, PAGE, READ);
	MAP_OBJECT_FAILS(NOT_FOUND, endpoint, 0, 0, PAGE, READ);
	MAP_OBJECT_FAILS(INVALID_ARGUMENT, object, 0, 0, 0, READ);
	MAP_OBJECT_FAILS(INVALID_ARGUMENT, object, 0, 0, PAGE, 1u << 20);
	MAP_OBJECT_FAILS(MISALIGNED, object, 1, 0, PAGE, READ);
	MAP_OBJECT_FAILS(MISALIGNED, object, 0, 8, PAGE, READ);
	MAP_OBJECT_FAILS(OUT_OF_RANGE, object, 0, PAGE, 2 * PAGE, READ);
	MAP_OBJECT_FAILS(OUT_OF_RANGE, object, top, 0, PAGE, READ);
	MAP_OBJECT_FAILS(PROTECTION_DENIED, object, 0, 0, PAGE, WRITE | EXEC);
	OK(capos_lease_factory_create(capos_caps.lease_factory, object, &lease));
	OK(capos_lease_copy(lease, &copy));
	OK(capos_virtual_memory_map_object(lent.vm, copy, 0, 0, PAGE, READ, &at));
	OK(capos_lease_revoke(lease));
	CHECK_EQUAL(lent_query(at).state, CAPOS_REGION_STATE_RESERVED);
	MAP_OBJECT_FAILS(REVOKED, copy, 0, 0, PAGE, READ);
	OK(capos_release(copy));
	OK(capos_release(lease));
	OK(capos_memory_object_unmap(object, here, 2 * PAGE));
	OK(capos_release(object));
	end(0);
}

/* All of the user half is reserved, or all memory that the lender may be charged is used. */
static void a_full_lender_refuses_objects(void)
{
	begin();
	uint64_t at = 0, far = 1ull << 40;
	capos_cap_t object = 0;
	OK(capos_memory_allocator_create(capos_caps.memory_allocator, PAGE, &object));
	for (uint64_t size = 1ull << 46; size >= PAGE; size /= 2)
		while (capos_virtual_memory_reserve(lent.vm, 0, size, &at) == 0)
			;
	MAP_OBJECT_FAILS(NO_RESERVATION, object, 0, 0, PAGE, READ);
	OK(capos_virtual_memory_unmap(lent.vm, far, 2048 * LARGE));
	for (uint64_t size = 4096 * PAGE; size >= PAGE; size /= 2)
		while (capos_virtual_memory_commit(lent.vm, far, size, WRITE) == 0)
			far += size;
	int64_t status = 0;
	for (uint64_t hint = 1ull << 40; status == 0; hint += 1ull << 30)
		status = capos_virtual_memory_map_object(lent.vm, object, hint, 0, PAGE, READ, &at);
	CHECK_FAILS(VIRTUAL_MEMORY_MAP_OBJECT, NO_MEMORY, status);
	OK(capos_release(object));
	kill_lender();
	release_lent();
}

/* ---- threads ---- */

void stranger(void); /* stores 42 at its argument and ends with code 9 */
extern const uint8_t stranger_end[];
__asm__(".text\n.globl stranger, stranger_end\nstranger:\n\t"
	"movl $42, (%rdi)\n\tmovl $9, %edi\n\txorl %esi, %esi\n\txorl %eax, %eax\n\tsyscall\n\t"
	"ud2\nstranger_end:\n");

/* Code that the other process has never had, and memory that both have. */
static void a_loader_starts_code_there(void)
{
	begin();
	uint64_t code = 0, data = 0, here = 0;
	capos_cap_t object = 0, thread = 0;
	int64_t result = 0;
	OK(capos_memory_allocator_create(lent.memory, 2 * PAGE, &object));
	OK(capos_memory_object_map(object, 0, 0, 2 * PAGE, WRITE, &here));
	memcpy((void *)here, (const void *)stranger, (size_t)(stranger_end - (uint8_t *)stranger));
	OK(capos_virtual_memory_map_object(lent.vm, object, 0, 0, PAGE, EXEC, &code));
	OK(capos_virtual_memory_map_object(lent.vm, object, 0, PAGE, PAGE, WRITE, &data));
	uint32_t threads = thread_count();
	OK(capos_thread_spawner_spawn(lent.threads, code, 0, data + 8, 0, 0, "loaded", &thread));
	OK(capos_thread_handle_join(thread, FOREVER, &result));
	CHECK_EQUAL(result, 9);
	CHECK_EQUAL(*(volatile uint32_t *)(here + PAGE + 8), 42);
	CHECK_EQUAL(thread_count(), threads);
	OK(capos_release(thread));
	OK(capos_memory_object_unmap(object, here, 2 * PAGE));
	OK(capos_release(object));
	end(0);
}

static capos_cap_t start_there(void (*entry)(void), uint64_t argument)
{
	capos_cap_t thread = 0;
	OK(capos_thread_spawner_spawn(
		lent.threads, (uint64_t)entry, 0, argument, 0, 0, "there", &thread));
	return thread;
}

static void a_debugger_changes_registers(void)
{
	begin();
	struct capos_thread_state state = { 0 };
	struct capos_thread_info info = { 0 };
	uint64_t at = 0, ns = 0;
	int64_t result = 0;
	OK(capos_virtual_memory_map(lent.vm, 0, PAGE, WRITE, &at));
	capos_cap_t thread = start_there(raw_spin, at);
	OK(capos_thread_handle_suspend(thread));
	CHECK_EQUAL(capos_thread_handle_read_state(thread, &state, sizeof state), sizeof state);
	CHECK_EQUAL(state.rdi, at);
	state.rip = (uint64_t)raw_exit;
	state.rdi = 23;
	OK(capos_thread_handle_write_state(thread, &state, sizeof state));
	OK(capos_thread_handle_resume(thread));
	OK(capos_thread_handle_join(thread, FOREVER, &result));
	CHECK_EQUAL(result, 23);
	CHECK_EQUAL(capos_thread_handle_info(lent.thread, &info, sizeof info), sizeof info);
	CHECK_EQUAL(info.state, CAPOS_THREAD_STATE_KIND_BLOCKED);
	OK(capos_thread_handle_cpu_time(lent.thread, &ns));
	OK(capos_thread_handle_set_affinity(lent.thread, ~0ull));
	OK(capos_thread_handle_suspend(lent.thread));
	CHECK_EQUAL(
		capos_thread_handle_read_state(lent.thread, &state, sizeof state), sizeof state);
	OK(capos_thread_handle_resume(lent.thread));
	OK(capos_release(thread));
	end(6);
}

/* The record of a thread names its process, which stays as long. */
static void handles_outlive_the_process(void)
{
	begin();
	struct capos_thread_info info = { 0 };
	int64_t result = 0;
	uint64_t at = 0, ns = 0;
	OK(capos_virtual_memory_map(lent.vm, 0, PAGE, WRITE, &at));
	capos_cap_t thread = start_there(raw_spin, at);
	kill_lender();
	OK(capos_thread_handle_join(thread, FOREVER, &result));
	CHECK_EQUAL(capos_thread_handle_info(thread, &info, sizeof info), sizeof info);
	CHECK_EQUAL(info.state, CAPOS_THREAD_STATE_KIND_ENDED);
	CHECK_EQUAL(capos_thread_handle_info(lent.thread, &info, sizeof info), sizeof info);
	CHECK_EQUAL(info.state, CAPOS_THREAD_STATE_KIND_ENDED);
	OK(capos_thread_handle_cpu_time(thread, &ns));
	CHECK_EQUAL(
		capos_thread_handle_notify(thread, CAPOS_NOTIFY_USER_FIRST, 0), CAPOS_E(NOT_FOUND));
	CHECK_EQUAL(capos_thread_handle_suspend(thread), CAPOS_E(NOT_FOUND));
	CHECK_EQUAL(capos_thread_handle_set_affinity(thread, 1), CAPOS_E(NOT_FOUND));
	OK(capos_release(thread));
	release_lent();
}

/* A thread there writes to memory, or parks on it, that is taken from under it. */
static void memory_is_taken_from_a_thread(void)
{
	for (unsigned parks = 0; parks < 2; parks++) {
		begin();
		uint64_t at = 0;
		struct capos_thread_info info;
		OK(capos_virtual_memory_map(lent.vm, 0, 4 * PAGE, WRITE, &at));
		capos_cap_t thread = start_there(parks ? raw_park : raw_spin, at + PAGE);
		if (parks)
			raw_wait_blocked(thread, &info);
		OK(capos_virtual_memory_unmap(lent.vm, at, 4 * PAGE));
		lender_ends(CAPOS_EXIT_KIND_FAULTED, CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
		OK(capos_release(thread));
		release_lent();
	}
}

/* ---- processes ---- */

static int64_t spawn_there(const char *role, capos_cap_t *process)
{
	struct grants grants = usual_grants();
	struct strings args = arguments(role, NULL);
	return capos_process_spawner_spawn(lent.spawner, capos_caps.boot, own.offset, own.size,
		args.bytes, args.size, NULL, 0, grants.list, grants.count * sizeof grants.list[0],
		1024, 0, NULL, 0, process);
}

static void children_are_the_lenders(void)
{
	begin();
	struct capos_memory_usage mine = program_usage(), its = usage_of(lent.process);
	capos_cap_t child = 0, waits = 0;
	OK(spawn_there("exit", &child));
	finishes(child, CAPOS_EXIT_KIND_EXITED, 11);
	OK(spawn_there("wait", &waits));
	CHECK_EQUAL(usage_of(lent.process).committed_pages, its.committed_pages + 1024);
	CHECK_EQUAL(program_usage().committed_pages, mine.committed_pages);
	int64_t status;
	while ((status = spawn_there("wait", &child)) == 0)
		OK(capos_release(child));
	CHECK_EQUAL(status, CAPOS_E(NO_MEMORY));
	kill_lender();
	finishes(waits, CAPOS_EXIT_KIND_KILLED, CAPOS_NOTIFICATION_KIND_TERMINATE);
	release_lent();
}

/* ---- what is whose ---- */

static void a_grant_is_the_childs_by_its_own_name(void)
{
	char text[32];
	make();
	uint64_t at = 0; /* far from what children have */
	OK(capos_virtual_memory_map(capos_caps.vm, 1ull << 40, PAGE, WRITE, &at));
	snprintf(text, sizeof text, "%#llx", (unsigned long long)at);
	finishes(start("names", text, 0), CAPOS_EXIT_KIND_EXITED, 7);
	CHECK_EQUAL(vm_query(at).prot, CAPOS_PROT_READ);
	OK(vm_unmap(at, PAGE));
	unmake();
}

/* How many capabilities for address spaces the process holds, and how many are not its own. */
static unsigned spaces_of(capos_cap_t process, unsigned *others)
{
	struct capos_held_capability list[64];
	int64_t size = capos_process_capabilities(process, 0, list, sizeof list);
	unsigned count = 0;
	uint64_t space = capos_cap_entry("vm")->interface_id;
	CHECK(size > 0 && size < (int64_t)sizeof list);
	for (int64_t i = 0; i < size / (int64_t)sizeof list[0]; i++) {
		if (list[i].interface_id != space)
			continue;
		count++;
		*others += list[i].object_id != 0;
	}
	return count;
}

static void what_comes_home_is_its_own_again(void)
{
	struct capos_message m = { { 0 } };
	capos_cap_t cap = 0;
	uint64_t tag = 0;
	unsigned others = 0;
	make();
	capos_cap_t process = start("returns", NULL, 0);
	cap = receive(&m);
	CHECK_EQUAL(capos_endpoint_reply_cap(&m, cap, CAPOS_MESSAGE_MOVES, 0),
		CAPOS_REPLY_RESULT_ANSWERED);
	CHECK_EQUAL(capos_endpoint_receive_cap(endpoint, &m, &cap, &tag, FOREVER),
		CAPOS_RECEIVE_RESULT_CALL);
	CHECK_EQUAL(spaces_of(process, &others), 3); /* vm, parent, the one that came back */
	CHECK_EQUAL(others, 1);
	answer(&m);
	finishes(process, CAPOS_EXIT_KIND_EXITED, 7);
	unmake();
}

static void each_one_is_charged(void)
{
	uint32_t before = slots(), kept = 0;
	struct capos_message m;
	make();
	capos_cap_t process = start("exhausts", NULL, 512);
	while (receive(&m)) {
		kept++;
		answer(&m);
	}
	CHECK_EQUAL(slots(), before + 3 + kept);
	answer(&m);
	finishes(process, CAPOS_EXIT_KIND_EXITED, 7);
	unmake();
}

/* ---- revocation, and the end ---- */

static void a_lent_one_is_taken_back(void)
{
	begin();
	capos_cap_t lease = 0, copy = 0;
	uint64_t at = 0;
	OK(capos_lease_factory_create(capos_caps.lease_factory, lent.vm, &lease));
	OK(capos_lease_copy(lease, &copy));
	OK(capos_virtual_memory_map(copy, 0, PAGE, WRITE, &at));
	CHECK_EQUAL(lent_query(at).state, CAPOS_REGION_STATE_COMMITTED);
	OK(capos_lease_revoke(lease));
	CHECK_EQUAL(capos_virtual_memory_unmap(copy, at, PAGE), CAPOS_E(REVOKED));
	OK(capos_virtual_memory_unmap(lent.vm, at, PAGE));
	OK(capos_release(copy));
	OK(capos_release(lease));
	/* Of its own, in its own process. */
	OK(capos_lease_factory_create(capos_caps.lease_factory, capos_caps.vm, &lease));
	OK(capos_lease_copy(lease, &copy));
	OK(capos_virtual_memory_map(copy, 0, PAGE, WRITE, &at));
	*(volatile uint64_t *)at = 1;
	OK(vm_unmap(at, PAGE));
	OK(capos_release(lease));
	CHECK_EQUAL(capos_virtual_memory_map(copy, 0, PAGE, WRITE, &at), CAPOS_E(REVOKED));
	OK(capos_release(copy));
	end(0);
}

#define GONE(name, call) CHECK_FAILS(name, DISCONNECTED, call)

static void nothing_is_done_for_a_process_that_ended(void)
{
	begin();
	kill_lender();
	uint64_t at = 0;
	char bytes[128];
	capos_cap_t object = 0, made = 0, vm = lent.vm;
	OK(capos_memory_allocator_create(capos_caps.memory_allocator, PAGE, &object));
	GONE(VIRTUAL_MEMORY_MAP, capos_virtual_memory_map(vm, 0, PAGE, WRITE, &at));
	GONE(VIRTUAL_MEMORY_UNMAP, capos_virtual_memory_unmap(vm, PAGE, PAGE));
	GONE(VIRTUAL_MEMORY_PROTECT, capos_virtual_memory_protect(vm, PAGE, PAGE, READ));
	GONE(VIRTUAL_MEMORY_RESERVE, capos_virtual_memory_reserve(vm, 0, PAGE, &at));
	GONE(VIRTUAL_MEMORY_COMMIT, capos_virtual_memory_commit(vm, PAGE, PAGE, READ));
	GONE(VIRTUAL_MEMORY_DECOMMIT, capos_virtual_memory_decommit(vm, PAGE, PAGE));
	GONE(VIRTUAL_MEMORY_QUERY, capos_virtual_memory_query(vm, PAGE, 0, bytes, sizeof bytes));
	GONE(VIRTUAL_MEMORY_USAGE, capos_virtual_memory_usage(vm, bytes, sizeof bytes));
	MAP_OBJECT_FAILS(DISCONNECTED, object, 0, 0, PAGE, READ);
	GONE(MEMORY_ALLOCATOR_CREATE, capos_memory_allocator_create(lent.memory, PAGE, &made));
	GONE(THREAD_SPAWNER_SPAWN,
		capos_thread_spawner_spawn(
			lent.threads, (uint64_t)raw_exit, 0, 0, 0, 0, "", &made));
	GONE(PROCESS_SPAWNER_SPAWN, spawn_there("exit", &made));
	OK(capos_release(object));
	release_lent();
}

int main(int argc, char **argv)
{
	int role = PLAY_ROLE(argc, argv);
	if (role >= 0)
		return role;
	RUN(memory_is_the_lenders);
	RUN(errors_are_the_lenders);
	RUN(objects_are_mapped_there);
	RUN(a_full_lender_refuses_objects);
	RUN(a_loader_starts_code_there);
	RUN(a_debugger_changes_registers);
	RUN(handles_outlive_the_process);
	RUN(memory_is_taken_from_a_thread);
	RUN(children_are_the_lenders);
	RUN(a_grant_is_the_childs_by_its_own_name);
	RUN(what_comes_home_is_its_own_again);
	RUN(each_one_is_charged);
	RUN(a_lent_one_is_taken_back);
	RUN(nothing_is_done_for_a_process_that_ended);
	return check_result();
}
