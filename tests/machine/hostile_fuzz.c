/* Random calls, a million of them or as many as the time allows: register calls, ring entries with
 * random submissions, messages of random content to every object, random ring indices, from several
 * threads at once, over memory that appears and disappears under them. Arguments come from a pool
 * in which most are wrong in some interesting way. Only calls that the kernel has executed are
 * counted. The seed is printed; the same seed as the first argument repeats the calls of each
 * thread.
 *
 * Only calls that would end or blind the test when they succeed are left out: exit, changing this
 * thread's FS base, handler, mask or registers, threads that start nowhere, and endless waits. A
 * message that could do such a thing lies in its thread's own memory, where no other thread changes
 * it between the check and the call. All other messages lie in memory that all threads change. */
#include "raw_thread.h"

#define THREADS 4
#define ARENA (64 * PAGE)
#define POOL 40
#define OPERATIONS 1000000
#define TIME_MAX_NS (12000 * MS_NS)
#define NOT_MADE INT64_MIN

static uint64_t arena, completed, end_ns;

/* The data of one slot of a ring's submissions. */
struct aimed {
	uint64_t message[16], result[64];
	uint64_t mapped; /* the bytes it maps or reserves when it succeeds */
	bool in_message; /* the address is in the result, not in the completion */
	bool real;       /* not put out of action */
};

struct fuzzer {
	struct capos_thread *thread;
	uint64_t seed;
	uint64_t pool[POOL];
	capos_cap_t objects[8]; /* memory objects it made */
	unsigned object_count;
	struct aimed slots[CAPOS_RING_SUBMISSIONS];
	uint64_t accepted, failed, spawned, aimed;
};

static capos_cap_t victim; /* a thread that only spins, for all threads to suspend and resume */
static struct capos_pipe_ends pipe_ends;

static void fill_pool(struct fuzzer *f)
{
	const uint64_t pool[POOL] = { 0, 1, 2, 3, 4, 7, 8, 16, 63, 64, 255, 256, PAGE - 1, PAGE,
		PAGE + 1, LARGE, arena, arena + 4, arena + 5 * PAGE, arena + PAGE - 4,
		arena + 8 * PAGE, arena + ARENA - 8, arena + ARENA, arena - PAGE,
		CAPOS_USER_TOP - 8, CAPOS_USER_TOP, CAPOS_USER_TOP - PAGE, NON_CANONICAL,
		KERNEL_HALF, 0xffffffff80100000, 1ull << 31, 1ull << 32, 1ull << 46, 1ull << 63,
		~0ull, ~0ull - 7, -PAGE, 0xffff7ffffffffff8, (uint64_t)fill_pool, 0x100000001 };
	memcpy(f->pool, pool, sizeof pool);
}

static uint64_t any_value(struct fuzzer *f)
{
	uint64_t random = random_next(&f->seed);
	switch (random % 8) {
	case 0:
		return random >> 8;
	case 1:
		return random >> 8 & 0xff;
	case 2:
		return arena + (random >> 8) % ARENA;
	default:
		return f->pool[(random >> 8) % POOL];
	}
}

/* A CapId that the process holds, or a near miss of one. */
static capos_cap_t any_cap(struct fuzzer *f)
{
	const struct capos_caps *c = &capos_caps;
	const capos_cap_t held[] = { c->vm, c->vm, c->memory_allocator, c->thread_control, victim,
		c->park, c->shared_park, c->timer, c->entropy, c->boot, c->system,
		c->standard_input, pipe_ends.reader, pipe_ends.writer, f->objects[0], f->objects[1],
		f->objects[2] };
	uint64_t random = random_next(&f->seed);
	capos_cap_t cap = held[(random >> 16) % (sizeof held / sizeof held[0])];
	switch (random % 16) {
	case 0:
		return (capos_cap_t)(random >> 32);
	case 1:
		return cap ^
			1u << (16 + (random >> 8 & 15)); /* another generation; another slot might
		                                            hold another thread's handle */
	default:
		return cap;
	}
}

/* Keeps waits short, and protects what the test needs. */
static bool tame(capos_cap_t cap, uint32_t method, uint64_t args[6])
{
	const struct capos_caps *c = &capos_caps;
	if (cap == c->standard_output || cap == c->standard_error || cap == c->host ||
		cap == c->thread_spawner)
		return false;
	if (cap == c->standard_input && method == CAPOS_CONSOLE_READ)
		return false;
	if (cap == c->timer && method == CAPOS_TIMER_SLEEP)
		args[0] &= 0xffff;
	if (cap == c->timer && method == CAPOS_TIMER_SLEEP_UNTIL)
		args[0] = capos_now_ns() + (args[0] & 0xffff);
	if (cap == victim && method == CAPOS_THREAD_HANDLE_JOIN)
		args[0] &= 0xffff;
	if (cap == pipe_ends.reader && method == CAPOS_PIPE_READER_READ)
		args[1] &= 0xffff;
	if (cap == pipe_ends.writer && method == CAPOS_PIPE_WRITER_WRITE)
		args[2] &= 0xffff;
	if (cap == victim && method == CAPOS_THREAD_HANDLE_WRITE_STATE)
		args[1] = 255;
	if (cap == c->thread_control)
		return method != CAPOS_THREAD_CONTROL_SET_FS_BASE &&
			method != CAPOS_THREAD_CONTROL_EXIT_THREAD &&
			method != CAPOS_THREAD_CONTROL_SET_NOTIFICATION &&
			method != CAPOS_THREAD_CONTROL_SET_MASK &&
			method != CAPOS_THREAD_CONTROL_RESUME;
	if (cap == c->vm &&
		(method == CAPOS_VIRTUAL_MEMORY_UNMAP || method == CAPOS_VIRTUAL_MEMORY_DECOMMIT ||
			method == CAPOS_VIRTUAL_MEMORY_PROTECT ||
			method == CAPOS_VIRTUAL_MEMORY_COMMIT)) {
		/* only in the arena, or where the test has no memory */
		bool inside = args[0] >= arena && args[0] <= arena + ARENA &&
			args[1] <= arena + ARENA - args[0];
		return inside || args[0] >= CAPOS_USER_TOP - PAGE || args[0] < 0x10000;
	}
	return true;
}

/* The bytes that this call, when it succeeds, maps or reserves somewhere; 0: it maps none. */
static uint64_t mapped_size(
	const struct fuzzer *f, capos_cap_t cap, uint32_t method, const uint64_t args[6])
{
	if (cap == capos_caps.vm)
		return method == CAPOS_VIRTUAL_MEMORY_MAP || method == CAPOS_VIRTUAL_MEMORY_RESERVE
			? args[1]
			: 0;
	for (unsigned i = 0; i < 8; i++)
		if (cap == f->objects[i] && cap && method == CAPOS_MEMORY_OBJECT_MAP)
			return args[2];
	return 0;
}

/* A mapping in the arena stays there for all threads. A mapping elsewhere is removed, and no more
 * than that, because memory next to it, with the same properties, may belong to another thread. */
static void give_back(uint64_t address, uint64_t size)
{
	bool inside =
		address >= arena && address < arena + ARENA && size <= arena + ARENA - address;
	if (size && !inside)
		capos_virtual_memory_unmap(capos_caps.vm, address, size);
}

/* Keeps the latest eight memory objects. */
static void keep_object(struct fuzzer *f, capos_cap_t made)
{
	unsigned slot = f->object_count++ % 8;
	if (f->objects[slot])
		capos_release(f->objects[slot]);
	f->objects[slot] = made;
}

/* The result, or NOT_MADE. */
static int64_t random_register_call(struct fuzzer *f)
{
	uint64_t args[6];
	capos_cap_t cap = any_cap(f);
	uint64_t random = random_next(&f->seed);
	uint32_t method = random % 13;
	for (int i = 0; i < 6; i++)
		args[i] = any_value(f);
	switch (random >> 8 & 15) {
	case 0:
		return capos_register_call(CAPOS_OPCODE_PARK, cap, args[0], args[1],
			args[2] & 1 ? capos_now_ns() + 10000 : 0, args[3], args[4]);
	case 1:
		return capos_register_call(
			CAPOS_OPCODE_UNPARK, cap, args[0], args[1], args[2], args[3], args[4]);
	case 2:
		return capos_syscall(2 + (random >> 16), args[0], args[1] | 2, args[2], args[3],
			args[4], args[5]);
	case 3: {
		capos_cap_t mine = f->objects[(random >> 16) % 8];
		for (unsigned i = 0; i < 8; i++)
			f->objects[i] = f->objects[i] == mine ? 0 : f->objects[i];
		return capos_release(mine ? mine : (capos_cap_t)(random >> 32) | 0x80000000);
	}
	case 4: {
		int64_t made = capos_call(capos_caps.memory_allocator, 0, args[0], 0, 0, 0, 0);
		if (!capos_is_error(made))
			keep_object(f, (capos_cap_t)made);
		return made;
	}
	default:
		break;
	}
	if (!tame(cap, method, args) ||
		cap == capos_caps.memory_allocator) /* case 4 keeps what is made */
		return NOT_MADE;
	int64_t result = capos_call(cap, method, args[0], args[1], args[2], args[3], args[4]);
	if (cap == capos_caps.thread_control && method == CAPOS_THREAD_CONTROL_SELF &&
		!capos_is_error(result))
		capos_release((capos_cap_t)result);
	if (!capos_is_error(result))
		give_back((uint64_t)result, mapped_size(f, cap, method, args));
	return result;
}

/* ---- the ring ---- */

/* Threads that end at once, with any stack and FS base, or cannot start. */
static void tame_spawn(struct fuzzer *f, uint64_t args[6])
{
	static const uint64_t nowhere[] = { 0, CAPOS_USER_TOP, NON_CANONICAL, KERNEL_HALF, ~0ull };
	uint64_t random = random_next(&f->seed);
	args[0] = random % 4 ? (uint64_t)raw_exit : nowhere[(random >> 8) % 5];
}

static bool tame_message(struct fuzzer *f, capos_cap_t cap, uint32_t method, uint64_t args[6])
{
	if (cap == capos_caps.thread_spawner) {
		tame_spawn(f, args);
		return true;
	}
	if (cap == pipe_ends.writer)
		args[0] &= 0xffff; /* its only number is how long it waits */
	return tame(cap, method, args) &&
		(cap != victim || method != CAPOS_THREAD_HANDLE_WRITE_STATE);
}

/* Half of the time, arguments that VirtualMemory and MemoryAllocator are likely to accept: a few
 * pages of the arena, or anywhere; a few pages of an object. */
static void make_likely(struct fuzzer *f, capos_cap_t cap, uint32_t method, uint64_t args[6])
{
	uint64_t random = random_next(&f->seed);
	bool anywhere =
		method == CAPOS_VIRTUAL_MEMORY_MAP || method == CAPOS_VIRTUAL_MEMORY_RESERVE;
	if (random & 1)
		return;
	if (cap == capos_caps.memory_allocator)
		args[0] = random >> 8 & 0xffff;
	if (cap != capos_caps.vm)
		return;
	args[0] = anywhere && random & 2 ? 0 : arena + (random >> 8) % (ARENA / PAGE - 8) * PAGE;
	args[1] = (1 + (random >> 32) % 8) * PAGE;
	args[2] = (random >> 40 & 7) | (random >> 48 & 1 ? DEMAND_ZERO : 0);
}

/* A message with a good root, so that random contents reach the method: more or fewer words of data
 * than it wants, and pointers that lead anywhere. */
static bool aim_message(struct fuzzer *f, struct capos_submission *s, struct aimed *a)
{
	uint64_t random = random_next(&f->seed), args[6] = { 0 }, *words = (uint64_t *)s->args;
	uint64_t data = random % 4 ? 5 : (random >> 8) % 7, pointers = random >> 16 & 1;
	for (unsigned i = 0; i < data; i++)
		args[i] = any_value(f);
	if (data >= 3)
		make_likely(f, s->cap, s->method, args);
	if (!tame_message(f, s->cap, s->method, args))
		return false;
	a->mapped = mapped_size(f, s->cap, s->method, args);
	a->in_message = true;
	a->message[0] = (1 + data + 2 * pointers) << 32;
	a->message[1] = data << 32 | pointers << 48;
	memcpy(&a->message[2], args, data * sizeof args[0]);
	if (pointers) { /* a text of up to seven bytes behind it, or what a random word says */
		a->message[2 + data] = random >> 20 & 3 ? 1 | 2ull << 32 | (random >> 24 & 7) << 35
							: random_next(&f->seed);
		a->message[3 + data] = random & 0x7f7f7f7f7f7f;
	}
	words[0] = (uint64_t)a->message;
	words[1] = 8 * (2 + data + 2 * pointers) - (random >> 32 & 31 ? 0 : random >> 40 & 15);
	words[2] = a->mapped || random >> 48 & 7 ? (uint64_t)a->result : any_value(f);
	words[3] = sizeof a->result;
	words[4] = words[5] = 0;
	f->aimed++;
	return true;
}

/* Any message, in memory that all threads change, to objects that cannot do harm whatever it
 * says. */
static bool wild_message(struct fuzzer *f, struct capos_submission *s, uint64_t random)
{
	const struct capos_caps *c = &capos_caps;
	uint64_t *words = (uint64_t *)s->args;
	if (s->cap == c->vm || s->cap == c->thread_control || s->cap == c->thread_spawner ||
		s->cap == c->timer || s->cap == victim || s->cap == c->standard_input ||
		s->cap == c->memory_allocator || s->cap == pipe_ends.reader ||
		s->cap == pipe_ends.writer)
		return false;
	for (unsigned i = 0; i < 8; i++)
		if (s->cap == f->objects[i] && s->cap && s->method == CAPOS_MEMORY_OBJECT_MAP)
			return false; /* the place would not be known */
	if (random & 3) {             /* in more or less good order */
		words[0] = arena + (random >> 8 & 0xff8);
		words[1] = 8 + (random >> 20 & 0x78);
		words[2] = arena + PAGE;
		words[3] = random >> 26 & 0xfff;
		words[4] = words[5] = 0;
	}
	return true;
}

static bool compact(struct fuzzer *f, struct capos_submission *s, struct aimed *a)
{
	uint64_t *words = (uint64_t *)s->args;
	if (s->cap == capos_caps.thread_spawner) { /* seven words, which lie in memory */
		for (unsigned i = 0; i < 7; i++)
			a->message[i] = any_value(f);
		tame_spawn(f, a->message);
		words[0] = (uint64_t)a->message;
		return true;
	}
	make_likely(f, s->cap, s->method, words);
	if (!tame(s->cap, s->method, words))
		return false;
	a->mapped = mapped_size(f, s->cap, s->method, words);
	return true;
}

static void fill_submission(struct fuzzer *f, struct capos_submission *s, struct aimed *a)
{
	static const uint8_t opcodes[] = { CAPOS_OPCODE_NOP, CAPOS_OPCODE_CALL, CAPOS_OPCODE_CALL,
		CAPOS_OPCODE_CALL, CAPOS_OPCODE_CALL, CAPOS_OPCODE_CALL, CAPOS_OPCODE_COMPACT,
		CAPOS_OPCODE_COMPACT, CAPOS_OPCODE_COMPACT, CAPOS_OPCODE_RECV, CAPOS_OPCODE_RETURN,
		CAPOS_OPCODE_FINISH, CAPOS_OPCODE_UNPARK, 9, 255 };
	uint64_t *args = (uint64_t *)s->args, r = random_next(&f->seed),
		 more = random_next(&f->seed);
	*s = (struct capos_submission){ .opcode = opcodes[r % sizeof opcodes],
		.method = r >> 8 & 15,
		.cap = any_cap(f),
		.user_data = r };
	if (more % 64 == 0)
		s->cap = capos_caps.thread_spawner;
	if (s->cap == capos_caps.thread_spawner && more >> 8 & 7)
		s->method = 0;
	s->flags = (r >> 16 & 31) == 0 ? 1 : 0;
	for (int n = 0; n < 6; n++)
		args[n] = n < 5 || (r >> 24 & 7) == 0 ? any_value(f) : 0;
	a->mapped = 0;
	a->in_message = false;
	a->real = true;
	if (s->opcode == CAPOS_OPCODE_CALL)
		a->real = more >> 16 & 1 ? wild_message(f, s, more >> 20) || aim_message(f, s, a)
					 : aim_message(f, s, a);
	else if (s->opcode == CAPOS_OPCODE_COMPACT)
		a->real = compact(f, s, a);
	if (!a->real)
		*s = (struct capos_submission){ .opcode = CAPOS_OPCODE_NOP, .user_data = r };
}

/* Undoes or keeps what an executed submission has made. */
static void settle(struct fuzzer *f, const struct capos_submission *s, const struct aimed *a,
	const struct capos_completion *c)
{
	f->accepted += a->real && c->result >= 0;
	f->failed += a->real && c->result < 0;
	f->spawned += c->cap && s->cap == capos_caps.thread_spawner;
	if (c->cap && s->cap == capos_caps.memory_allocator)
		keep_object(f, c->cap);
	else if (c->cap)
		capos_release(c->cap);
	if (a->mapped && c->result >= 0)
		give_back(a->in_message ? a->result[2] : c->value, a->mapped);
}

/* Up to a ring full of random submissions, entered at once, sometimes with indices that make no
 * sense. The result is the number of submissions taken. */
static uint64_t random_ring(struct fuzzer *f)
{
	struct capos_ring_header *ring = capos_ring();
	struct capos_submission *submissions = capos_ring_submissions(ring);
	uint64_t random = random_next(&f->seed), taken = 0;
	uint32_t count = random % (CAPOS_RING_SUBMISSIONS + 1), head = ring->submission_head,
		 completed_before = ring->completion_tail;
	ring->completion_head = completed_before;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t slot = (head + i) % CAPOS_RING_SUBMISSIONS;
		fill_submission(f, &submissions[slot], &f->slots[slot]);
	}
	__atomic_store_n(&ring->submission_tail,
		head + (random >> 8 & 63 ? count : (uint32_t)(random >> 32)), __ATOMIC_RELEASE);
	if ((random >> 24 & 63) == 0)
		ring->submission_head = ring->completion_tail = (uint32_t)(random >> 28);
	int64_t result =
		capos_syscall(CAPOS_SYS_CAP_ENTER, random >> 40 & 15, random >> 50, 0, 0, 0, 0);
	if (result < 0) { /* nothing was taken: back to sense */
		ring->submission_tail = head;
		ring->completion_head = completed_before;
		capos_syscall(CAPOS_SYS_CAP_ENTER, 0, 0, 0, 0, 0, 0);
		return 0;
	}
	for (uint32_t i = 0; head + i != ring->submission_head; i++) {
		uint32_t slot = (head + i) % CAPOS_RING_SUBMISSIONS;
		settle(f, &submissions[slot], &f->slots[slot],
			&capos_ring_completions(
				ring)[(completed_before + i) % CAPOS_RING_COMPLETIONS]);
		taken += f->slots[slot].real;
	}
	ring->submission_tail = ring->submission_head;
	return taken;
}

static uint64_t random_register_calls(struct fuzzer *f)
{
	uint64_t made = 0;
	for (int i = 0; i < 16; i++) {
		int64_t result = random_register_call(f);
		f->accepted += result != NOT_MADE && !capos_is_error(result);
		f->failed += result != NOT_MADE && capos_is_error(result);
		made += result != NOT_MADE;
	}
	return made;
}

static int64_t fuzz(void *argument)
{
	struct fuzzer *f = argument;
	fill_pool(f);
	for (uint64_t made = 0;
		__atomic_fetch_add(&completed, made, __ATOMIC_RELAXED) + made < OPERATIONS &&
		capos_now_ns() < end_ns;)
		made = random_next(&f->seed) & 1 ? random_ring(f) : random_register_calls(f);
	for (unsigned i = 0; i < 8; i++)
		if (f->objects[i])
			capos_release(f->objects[i]);
	return 0;
}

int main(int argc, char **argv)
{
	static struct fuzzer fuzzers[THREADS];
	uint64_t seed = random_seed(argc, argv), flag = 0;
	end_ns = capos_now_ns() + TIME_MAX_NS;
	uint64_t reserved = vm_reserve(3 * ARENA);
	arena = reserved + ARENA; /* nothing of ours next to it */
	victim = raw_spawn(raw_park, (uint64_t)&flag, 0);
	CHECK_EQUAL(capos_pipe_factory_create(
			    capos_caps.pipe_factory, PAGE, &pipe_ends, sizeof pipe_ends),
		sizeof pipe_ends);
	for (unsigned i = 0; i < THREADS; i++) {
		fuzzers[i].seed = seed + i * 0x9e3779b97f4a7c16ull;
		OK(capos_thread_start(&fuzzers[i].thread, fuzz, &fuzzers[i], NULL));
	}
	uint64_t accepted = 0, failed = 0, spawned = 0, aimed = 0;
	for (unsigned i = 0; i < THREADS; i++) {
		OK(capos_thread_join(fuzzers[i].thread, NULL));
		accepted += fuzzers[i].accepted;
		failed += fuzzers[i].failed;
		spawned += fuzzers[i].spawned;
		aimed += fuzzers[i].aimed;
	}
	while (capos_thread_handle_resume(victim) == 0)
		;
	raw_wake((uint32_t *)&flag);
	CHECK_EQUAL(raw_join(victim), 0);
	/* Reservations left over from random calls go with the process; the runner's frame count
	 * covers them. */
	wait_for_threads(1);
	CHECK(accepted > 1000 && failed > 1000 && spawned > 10 &&
		aimed > 1000); /* else it tests nothing */
	printf("# %llu submissions: %llu accepted, %llu failed; %llu well-aimed messages, "
	       "%llu threads\n",
		(unsigned long long)completed, (unsigned long long)accepted,
		(unsigned long long)failed, (unsigned long long)aimed, (unsigned long long)spawned);
	if (check_why[0])
		printf("FAIL random_calls: %s\n", check_why);
	else
		printf("ok random_calls\n");
	return check_why[0] != 0;
}
