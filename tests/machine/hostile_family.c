/* Random calls by several processes at once. Each holds endpoints, facets, events, pipes, memory,
 * leases, devices and processes, and calls any method of any of them with arguments that are often
 * good. They send each other capabilities in messages, in registers and through the ring, their own
 * address spaces among them, lend them and take them back, drive the machine's devices, start
 * processes of their own, suspend and kill them, and are killed themselves at any time by the
 * process that started them all, which starts others instead. At the end all are killed, and what
 * the first process is charged is what it was before. The machine's frames and objects are counted
 * around the test.
 *
 * A bystander sleeps for moments meanwhile and notes how late it was.
 *
 * The seed is printed; as the first argument it makes each process choose the same again. The
 * second argument is the number of operations. With a third one the bystander may be late: a seed
 * may make any timer of an explored program late.
 *
 * // test: limit 64M
 */
#include "late.h"
#include "raw_thread.h"
#include "spawn.h"

#define CHILDREN 4u
#define OPERATIONS 30000ull
#define TIME_MAX_NS (8000 * MS_NS)
#define HELD_MAX 48u
#define ARENA (16 * PAGE)
#define CHILD_PAGES 512u
#define LEAF_PAGES 64u
#define LIFE_NS (60 * MS_NS)  /* of a child, at most */
#define MOMENT_NS (2 * MS_NS) /* of the bystander */
#define WAIT_NS 50000u        /* at most, of most waits */
#define CALL_NS 500000u       /* at most, of calls and of waits for them */
#define METHODS 14u

/* In memory that all share. */
struct shared {
	uint64_t operations, accepted, moved, received, spawned; /* atomic */
	uint64_t ring_moved, leased, revoked, submitted, mapped; /* atomic */
	uint64_t late_ns;                                        /* the bystander's worst */
	uint64_t stop;
};

static struct shared *shared;

static void map_shared(capos_cap_t object)
{
	uint64_t address = 0;
	OK(capos_memory_object_map(object, 0, 0, PAGE, WRITE, &address));
	shared = (struct shared *)address;
}

static void add(uint64_t *count, uint64_t n)
{
	__atomic_fetch_add(count, n, __ATOMIC_RELAXED);
}

/* ---- a process that makes random calls ---- */

static struct {
	uint64_t seed, arena;
	capos_cap_t own, lease_factory, devices, held[HELD_MAX];
	unsigned count, fixed; /* fixed: at the front, which are kept */
	bool owes;             /* an answer */
} me;

static uint64_t chance(uint64_t n)
{
	return (random_next(&me.seed) >> 16) % n;
}

static void keep(capos_cap_t cap)
{
	if (me.count < HELD_MAX) {
		me.held[me.count++] = cap;
		return;
	}
	unsigned place = me.fixed + (unsigned)chance(HELD_MAX - me.fixed);
	capos_release(me.held[place]);
	me.held[place] = cap;
}

static capos_cap_t any_cap(void)
{
	capos_cap_t cap = me.held[chance(me.count)];
	return chance(64) ? cap : cap + (capos_cap_t)(chance(2) ? 1 : 0x10000);
}

static capos_cap_t any_peer(void)
{
	return me.held[me.fixed - 1 - chance(CHILDREN)];
}

/* A word that means something somewhere. */
static uint64_t any_word(void)
{
	switch (chance(12)) {
	case 0:
		return chance(4);
	case 1:
		return 1ull << chance(64);
	case 2:
	case 3:
	case 4:
		return any_cap();
	case 5:
	case 6:
		return me.arena + chance(ARENA / 8) * 8;
	case 7:
		return me.arena + chance(ARENA / PAGE) * PAGE;
	case 8:
		return PAGE * chance(4);
	case 9:
		return chance(512);
	case 10:
		return capos_now_ns() + chance(WAIT_NS);
	default:
		return chance(8) ? chance(WAIT_NS) : random_next(&me.seed);
	}
}

/* What a method gives back may be a capability. */
static void call_any_method(void)
{
	capos_cap_t cap = any_cap();
	uint32_t method = (uint32_t)chance(chance(4) ? 4 : METHODS);
	if (cap == capos_caps.thread_control && method != CAPOS_THREAD_CONTROL_YIELD)
		return; /* there its own registers and handlers are changed */
	if (cap == capos_caps.thread_spawner) {
		keep(raw_spawn(raw_exit, 0, 0));
		return;
	}
	int64_t word =
		capos_call(cap, method, any_word(), any_word(), any_word(), any_word(), any_word());
	add(&shared->accepted, !capos_is_error(word));
	if (!capos_is_error(word) && word >= 0x10000 && word < 1ll << 32)
		keep((capos_cap_t)word);
}

static void make_something(void)
{
	struct capos_pipe_ends ends;
	capos_cap_t cap = 0;
	switch (chance(6)) {
	case 0:
		if (capos_event_factory_create(capos_caps.event_factory, &cap) == 0)
			keep(cap);
		return;
	case 1:
		if (capos_endpoint_factory_create(
			    capos_caps.endpoint_factory, 1 + (uint32_t)chance(4), &cap) == 0) {
			capos_endpoint_accept(cap, (uint32_t)chance(2));
			keep(cap);
		}
		return;
	case 2:
		if (capos_endpoint_make_facet(any_cap(), chance(8), &cap) == 0)
			keep(cap);
		return;
	case 3:
		if (capos_memory_allocator_create(
			    capos_caps.memory_allocator, PAGE * (1 + chance(4)), &cap) == 0)
			keep(cap);
		return;
	case 4:
		if (capos_lease_factory_create(me.lease_factory, any_cap(), &cap) == 0)
			keep(cap);
		return;
	default:
		if (capos_pipe_factory_create(capos_caps.pipe_factory, PAGE, &ends, sizeof ends) ==
			sizeof ends) {
			keep(ends.reader);
			keep(ends.writer);
		}
	}
}

static void release_something(void)
{
	if (me.count <= me.fixed)
		return;
	unsigned place = me.fixed + (unsigned)chance(me.count - me.fixed);
	capos_release(me.held[place]);
	me.held[place] = me.held[--me.count];
}

/* Of some capability that may be a lease: a copy, or all of them back. */
static void use_a_lease(void)
{
	capos_cap_t lease = any_cap(), copy = 0;
	if (chance(3)) {
		if (capos_lease_copy(lease, &copy) == 0) {
			add(&shared->leased, 1);
			keep(copy);
		}
	} else {
		add(&shared->revoked, capos_lease_revoke(lease) == 0);
	}
}

/* Drives a device with whatever it holds: one that it opens, or some capability. */
static void use_a_device(void)
{
	capos_cap_t device = any_cap();
	if (!me.devices)
		return;
	if (!chance(3) &&
		capos_device_manager_open(me.devices, (uint32_t)chance(3), &device) == 0) {
		uint64_t agreed;
		keep(device);
		capos_device_negotiate(device, 0, &agreed);
		for (unsigned i = 0; i < me.count; i++) /* one that is memory, if any */
			if (capos_device_add_queue(device, 0, 1u << chance(4), me.held[i]) == 0)
				break;
		capos_device_bind(device, any_cap(), any_word());
		capos_device_start(device);
	}
	struct capos_device_buffer *buffers = (struct capos_device_buffer *)me.arena;
	uint64_t count = 1 + chance(3), entries, done[8];
	for (uint64_t i = 0; i < count; i++)
		buffers[i] = (struct capos_device_buffer){ .offset = chance(4 * PAGE),
			.length = (uint32_t)chance(300),
			.flags = CAPOS_DEVICE_BUFFER_WRITE |
				(i + 1 < count ? CAPOS_DEVICE_BUFFER_MORE : 0) };
	add(&shared->submitted,
		capos_device_submit(device, 0, buffers, count * sizeof buffers[0], &entries) == 0);
	capos_device_collect(device, 0, done, sizeof done);
	if (!chance(4))
		capos_device_reset(device);
}

static void use_a_pipe(void)
{
	uint64_t count;
	if (chance(2))
		capos_pipe_writer_write(
			any_cap(), (void *)me.arena, chance(2 * PAGE), chance(WAIT_NS), &count);
	else
		capos_pipe_reader_read(any_cap(), (uint32_t)chance(2 * PAGE), chance(WAIT_NS),
			(void *)me.arena, ARENA);
}

static void call_something(void)
{
	struct capos_message message = { .words = { any_word(), any_word() } };
	capos_cap_t cap = chance(2) ? any_cap() : 0;
	uint32_t flags =
		(chance(4) ? 0 : CAPOS_MESSAGE_MOVES) | (chance(2) ? CAPOS_MESSAGE_TAKES : 0);
	capos_cap_t given = cap;
	int64_t status = capos_endpoint_call_cap(chance(2) ? any_peer() : any_cap(), &message, &cap,
		cap ? flags : flags & CAPOS_MESSAGE_TAKES, capos_now_ns() + chance(CALL_NS));
	add(&shared->moved, status == 0 && given);
	if (status == 0 && cap && cap != given)
		keep(cap);
}

static void answer(void)
{
	struct capos_message message = { .words = { any_word() } };
	capos_cap_t cap = chance(2) ? any_cap() : 0;
	capos_endpoint_reply_cap(&message, cap, cap && !chance(4) ? CAPOS_MESSAGE_MOVES : 0,
		chance(4) ? 0 : CAPOS_ERROR_BUSY);
	me.owes = false;
}

static void receive_something(void)
{
	struct capos_message message;
	capos_cap_t cap = 0;
	uint64_t tag;
	if (me.owes) {
		if (chance(4))
			answer();
		return;
	}
	int64_t got = capos_endpoint_receive_cap(chance(4) ? me.own : any_cap(), &message, &cap,
		&tag, capos_now_ns() + chance(CALL_NS));
	me.owes = got == CAPOS_E(WRONG_STATE); /* a call that came through the ring */
	if (got != CAPOS_RECEIVE_RESULT_CALL)
		return;
	add(&shared->received, 1);
	me.owes = true;
	if (cap)
		keep(cap);
}

/* The capabilities of a message in the ring, in a place of their own. */
static uint64_t message_caps(unsigned place)
{
	struct capos_message_caps *caps =
		(struct capos_message_caps *)(me.arena + ARENA - (place + 1) * sizeof *caps);
	*caps = (struct capos_message_caps){ .count = (uint32_t)chance(4),
		.moves = (uint32_t)chance(8),
		.takes = (uint32_t)chance(3) };
	uint64_t *list = (uint64_t *)caps->caps;
	for (unsigned i = 0; i < 4; i++)
		list[i] = any_cap();
	return (uint64_t)caps;
}

/* What has come with messages. */
static void keep_what_came(unsigned count)
{
	for (unsigned place = 0; place < count; place++) {
		struct capos_message_caps *caps = (struct capos_message_caps *)(me.arena + ARENA -
			(place + 1) * sizeof *caps);
		uint64_t *list = (uint64_t *)caps->caps;
		if (caps->takes || caps->moves || caps->count > CAPOS_MESSAGE_CAPS_MAX)
			continue; /* as it was sent */
		for (uint32_t i = 0; i < caps->count; i++)
			keep((capos_cap_t)list[i]);
		add(&shared->ring_moved, caps->count);
		caps->count = 0;
	}
}

/* A submission of which the words may be such a message. */
static void describe_message(struct capos_submission *s, unsigned place)
{
	uint64_t *args = (uint64_t *)s->args;
	uint64_t deadline_ns = capos_now_ns() + chance(CALL_NS);
	if (s->opcode == CAPOS_OPCODE_ENDPOINT_CALL) {
		args[0] = args[2] = me.arena;
		args[1] = chance(200);
		args[3] = PAGE;
		args[4] = deadline_ns;
		args[5] = chance(4) ? message_caps(place) : 0;
		s->cap = chance(2) ? any_peer() : any_cap();
	} else if (s->opcode == CAPOS_OPCODE_RETURN) {
		s->cap = 0;
		args[0] = me.arena;
		args[1] = chance(200);
		args[2] = chance(4) ? 0 : CAPOS_ERROR_BUSY;
		args[3] = chance(4) ? message_caps(place) : 0;
		args[4] = 0;
	} else if (s->opcode == CAPOS_OPCODE_RECV) {
		s->cap = chance(4) ? me.own : any_cap();
		args[0] = me.arena + PAGE;
		args[1] = 64 + chance(200);
		args[2] = deadline_ns;
		args[3] = chance(4) ? message_caps(place) : 0;
		args[4] = 0;
	}
}

/* One to four submissions of any kind. */
static void use_the_ring(void)
{
	static const uint8_t opcodes[] = { CAPOS_OPCODE_NOP, CAPOS_OPCODE_CALL,
		CAPOS_OPCODE_ENDPOINT_CALL, CAPOS_OPCODE_ENDPOINT_CALL, CAPOS_OPCODE_RECV,
		CAPOS_OPCODE_RETURN, CAPOS_OPCODE_FINISH, CAPOS_OPCODE_UNPARK };
	struct capos_ring_header *ring = capos_ring();
	struct capos_submission *submissions = capos_ring_submissions(ring);
	uint32_t count = 1 + (uint32_t)chance(4);
	ring->completion_head = ring->completion_tail;
	for (uint32_t i = 0; i < count; i++) {
		struct capos_submission *s =
			&submissions[(ring->submission_tail + i) % CAPOS_RING_SUBMISSIONS];
		*s = (struct capos_submission){ .opcode = opcodes[chance(sizeof opcodes)],
			.cap = any_cap(),
			.user_data = chance(4) };
		uint64_t *args = (uint64_t *)s->args;
		for (unsigned n = 0; n < 6; n++)
			args[n] = n < 5 ? any_word() : 0;
		if (s->opcode == CAPOS_OPCODE_CALL && s->cap == capos_caps.thread_control)
			s->opcode = CAPOS_OPCODE_NOP;
		if (chance(8)) /* else any words, which are mostly refused */
			describe_message(s, i);
	}
	__atomic_store_n(&ring->submission_tail, ring->submission_tail + count, __ATOMIC_RELEASE);
	capos_syscall(CAPOS_SYS_CAP_ENTER, chance(3), chance(WAIT_NS), 0, 0, 0, 0);
	keep_what_came(count);
	me.owes = false; /* a receive says whether it is so */
}

static void start_something(void)
{
	struct grants list = { .count = 0 };
	struct strings args = arguments("leaf", NULL);
	capos_cap_t process = 0;
	grant(&list, "vm", capos_caps.vm);
	grant(&list, "thread_control", capos_caps.thread_control);
	grant(&list, "timer", capos_caps.timer);
	static const char *const names[] = { "a", "b", "c" };
	for (unsigned i = 0; i < 3; i++)
		grant(&list, names[i], any_cap());
	if (spawn_with(&list, &args, chance(2) ? LEAF_PAGES : 0, &process) == 0) {
		add(&shared->spawned, 1);
		keep(process);
	}
}

/* Of its own process, or of one that has sent its address space. */
static void use_memory(void)
{
	uint64_t address = 0, size = PAGE * (1 + chance(4));
	capos_cap_t vm = chance(2) ? capos_caps.vm : any_cap();
	if (vm != capos_caps.vm && chance(2) &&
		capos_virtual_memory_map_object(vm, any_cap(), 0, 0, PAGE, WRITE, &address) == 0) {
		add(&shared->mapped, 1);
		return;
	}
	if (capos_virtual_memory_map(vm, 0, size, WRITE, &address) != 0)
		return;
	if (vm == capos_caps.vm)
		*(volatile uint64_t *)address = size;
	else
		add(&shared->mapped, 1);
	capos_virtual_memory_unmap(vm, address, size);
}

static void do_something(void)
{
	switch (chance(20)) {
	case 0:
	case 1:
		make_something();
		break;
	case 2:
		release_something();
		break;
	case 3:
	case 4:
		call_something();
		break;
	case 5:
	case 6:
		receive_something();
		break;
	case 7:
		use_the_ring();
		break;
	case 8:
		use_memory();
		break;
	case 9:
		if (!chance(8))
			start_something();
		break;
	case 10:
		use_a_lease();
		break;
	case 11:
		use_a_device();
		break;
	case 12:
		use_a_pipe();
		break;
	default:
		call_any_method();
	}
}

/* Argument: its seed. Grants: own, peer0.., shared. */
static int role_random(int argc, char **argv)
{
	static const char *const peers[] = { "peer0", "peer1", "peer2", "peer3" };
	(void)argc;
	map_shared(capos_cap("shared"));
	me.seed = strtoull(argv[2], NULL, 0) | 1;
	me.own = capos_cap("own");
	me.lease_factory = capos_cap("lease_factory");
	me.devices = capos_cap("devices");
	const capos_cap_t fixed[] = { me.own, capos_caps.vm, capos_caps.memory_allocator,
		capos_caps.thread_control, capos_caps.thread_spawner, capos_caps.park,
		capos_caps.timer, capos_caps.system, capos_caps.boot, capos_caps.process_spawner,
		capos_caps.event_factory, capos_caps.endpoint_factory, capos_caps.pipe_factory,
		me.lease_factory, me.devices };
	for (unsigned i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
		if (fixed[i])
			keep(fixed[i]);
	for (unsigned i = 0; i < CHILDREN; i++)
		keep(capos_cap(peers[i]));
	me.fixed = me.count;
	me.arena = vm_map(ARENA, WRITE);
	for (;;) {
		do_something();
		add(&shared->operations, 1);
	}
}

/* Ends at once, soon or never. */
static int role_leaf(int argc, char **argv)
{
	(void)argc, (void)argv;
	uint64_t moment = capos_now_ns() / 64 % 3;
	if (moment)
		capos_sleep_ns(moment == 1 ? WAIT_NS : CAPOS_WAIT_FOREVER / 2);
	return 0;
}

static int role_bystander(int argc, char **argv)
{
	(void)argc, (void)argv;
	map_shared(capos_cap("shared"));
	while (!__atomic_load_n(&shared->stop, __ATOMIC_RELAXED)) {
		uint64_t due = capos_now_ns() + MOMENT_NS;
		capos_sleep_until_ns(due);
		uint64_t late = capos_now_ns() - due;
		if (late > shared->late_ns)
			shared->late_ns = late;
	}
	return 0;
}

static const struct role roles[] = { { "random", role_random }, { "leaf", role_leaf },
	{ "bystander", role_bystander } };

/* ---- the process that starts and ends them ---- */

static uint64_t seed, lives;
static capos_cap_t shared_object, endpoints[CHILDREN], facets[CHILDREN];

static capos_cap_t start_child(unsigned index)
{
	static const char *const peers[] = { "peer0", "peer1", "peer2", "peer3" };
	char number[32];
	struct grants list = usual_grants();
	capos_cap_t process = 0;
	snprintf(number, sizeof number, "%llu",
		(unsigned long long)(seed + ++lives * 0x9e3779b97f4a7c16ull));
	struct strings args = arguments("random", number);
	/* What it prints would come among the results. */
	memmove(&list.list[0], &list.list[2], (list.count - 2) * sizeof list.list[0]);
	list.count -= 2;
	grant(&list, "event_factory", capos_caps.event_factory);
	grant(&list, "endpoint_factory", capos_caps.endpoint_factory);
	grant(&list, "pipe_factory", capos_caps.pipe_factory);
	grant(&list, "lease_factory", capos_cap("lease_factory"));
	if (capos_cap("devices"))
		grant(&list, "devices", capos_cap("devices"));
	grant(&list, "shared", shared_object);
	grant(&list, "own", endpoints[index]);
	for (unsigned i = 0; i < CHILDREN; i++)
		grant(&list, peers[i], facets[i]);
	OK(spawn_with(&list, &args, CHILD_PAGES, &process));
	return process;
}

static void end_child(capos_cap_t process)
{
	struct capos_process_end end;
	OK(capos_process_kill(process));
	CHECK_EQUAL(capos_process_wait(process, CAPOS_WAIT_FOREVER, &end, sizeof end), sizeof end);
	OK(capos_release(process));
}

static void make_shared(void)
{
	OK(capos_memory_allocator_create(capos_caps.memory_allocator, PAGE, &shared_object));
	map_shared(shared_object);
	for (unsigned i = 0; i < CHILDREN; i++) {
		OK(capos_endpoint_factory_create(capos_caps.endpoint_factory, 8, &endpoints[i]));
		OK(capos_endpoint_accept(endpoints[i], 1));
		OK(capos_endpoint_make_facet(endpoints[i], i, &facets[i]));
	}
}

static void end_shared(void)
{
	OK(capos_memory_object_unmap(shared_object, (uint64_t)shared, PAGE));
	OK(capos_release(shared_object));
	for (unsigned i = 0; i < CHILDREN; i++) {
		OK(capos_release(facets[i]));
		OK(capos_release(endpoints[i]));
	}
}

static capos_cap_t start_bystander(void)
{
	struct grants list = usual_grants();
	struct strings args = arguments("bystander", NULL);
	capos_cap_t process = 0;
	grant(&list, "shared", shared_object);
	OK(spawn_with(&list, &args, 0, &process));
	return process;
}

static uint64_t wanted = OPERATIONS;
static bool timers_late;

static void run(uint64_t operations)
{
	capos_cap_t children[CHILDREN];
	uint64_t end_ns = capos_now_ns() + TIME_MAX_NS, state = seed;
	make_shared();
	capos_cap_t bystander = start_bystander();
	for (unsigned i = 0; i < CHILDREN; i++)
		children[i] = start_child(i);
	while (__atomic_load_n(&shared->operations, __ATOMIC_RELAXED) < operations &&
		(operations > OPERATIONS || capos_now_ns() < end_ns) && !check_why[0]) {
		uint64_t random = random_next(&state) >> 16;
		capos_sleep_ns(random % (LIFE_NS / CHILDREN));
		unsigned victim = (unsigned)(random >> 32) % CHILDREN;
		end_child(children[victim]);
		children[victim] = start_child(victim);
	}
	for (unsigned i = 0; i < CHILDREN; i++)
		end_child(children[i]);
	__atomic_store_n(&shared->stop, 1, __ATOMIC_RELAXED);
	finishes(bystander, CAPOS_EXIT_KIND_EXITED, 0);
	printf("# %llu operations in %llu lives: %llu methods accepted, %llu calls received, "
	       "%llu capabilities sent, %llu processes started, bystander at most %llu us late\n",
		(unsigned long long)shared->operations, (unsigned long long)lives,
		(unsigned long long)shared->accepted, (unsigned long long)shared->received,
		(unsigned long long)shared->moved, (unsigned long long)shared->spawned,
		(unsigned long long)shared->late_ns / 1000);
	printf("# %llu capabilities came through the ring, %llu were lent, %llu leases revoked, "
	       "%llu requests to devices, %llu mappings by address spaces that came\n",
		(unsigned long long)shared->ring_moved, (unsigned long long)shared->leased,
		(unsigned long long)shared->revoked, (unsigned long long)shared->submitted,
		(unsigned long long)shared->mapped);
	CHECK(shared->operations < OPERATIONS || /* else it tests nothing */
		(shared->accepted > 500 && shared->received > 20 && shared->moved &&
			shared->spawned > 50 && shared->ring_moved && shared->leased &&
			shared->revoked && shared->mapped));
	CHECK(!late_exact || timers_late || shared->late_ns < late_limit_ns);
	end_shared();
}

static void nothing_is_left(void)
{
	run(1000); /* makes the slabs */
	struct capos_memory_usage before = program_usage();
	run(wanted);
	CHECK_USAGE_IS(before);
}

int main(int argc, char **argv)
{
	int code = PLAY_ROLE(argc, argv);
	if (code >= 0)
		return code;
	seed = random_seed(argc, argv);
	late_set_limit();
	timers_late = argc > 3;
	wanted = argc > 2 ? strtoull(argv[2], NULL, 0) : OPERATIONS;
	RUN(nothing_is_left);
	return check_result();
}
