/* Random calls, a million of them on one CPU: register calls, ring entries with random submissions, random ring indices, from several threads at
 * once, over memory that appears and disappears under them. Arguments come from a pool in which most are wrong in some interesting way. The
 * seed is printed; the same seed as the first argument repeats the calls of each thread.
 *
 * Left out is only what would end or blind the test by doing what it says: exit, changing this thread's FS base, handler, mask or registers,
 * threads that start nowhere, and waits without an end. */
#include "raw_thread.h"

#define THREADS 4
#define ARENA (64 * PAGE)
#define POOL 40

static uint64_t arena, operations;
static volatile uint64_t completed;

struct fuzzer {
	struct capos_thread *thread;
	uint64_t seed;
	uint64_t pool[POOL];
	capos_cap_t objects[8]; /* memory objects it made */
	unsigned object_count;
	uint64_t accepted, refused;
};

static capos_cap_t victim; /* a thread that only spins, to be suspended and resumed by everybody */

static void fill_pool(struct fuzzer *f)
{
	const uint64_t pool[POOL] = {
		0, 1, 2, 3, 4, 7, 8, 16, 63, 64, 255, 256, PAGE - 1, PAGE, PAGE + 1, LARGE, arena, arena + 4, arena + 5 * PAGE, arena + PAGE - 4,
		arena + 8 * PAGE, arena + ARENA - 8, arena + ARENA, arena - PAGE, CAPOS_USER_TOP - 8, CAPOS_USER_TOP, CAPOS_USER_TOP - PAGE,
		NON_CANONICAL, KERNEL_HALF, 0xffffffff80100000, 1ull << 31, 1ull << 32, 1ull << 46, 1ull << 63, ~0ull, ~0ull - 7, -PAGE,
		0xffff7ffffffffff8, (uint64_t)fill_pool, 0x100000001,
	};
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

/* One the process holds, or a near miss of one. */
static capos_cap_t any_cap(struct fuzzer *f)
{
	const struct capos_caps *c = &capos_caps;
	const capos_cap_t held[] = { c->vm, c->vm, c->memory_allocator, c->thread_control, victim, c->park, c->shared_park, c->timer, c->entropy,
		                     c->boot, c->system, c->standard_input, f->objects[0], f->objects[1], f->objects[2] };
	uint64_t random = random_next(&f->seed);
	capos_cap_t cap = held[(random >> 16) % (sizeof held / sizeof held[0])];
	switch (random % 16) {
	case 0:
		return (capos_cap_t)(random >> 32);
	case 1:
		return cap ^ 1u << (16 + (random >> 8 & 15)); /* another generation; another slot might be somebody's thread */
	default:
		return cap;
	}
}

/* Waits are kept short, and what the test stands on is kept. */
static bool tame(capos_cap_t cap, uint32_t method, uint64_t args[6])
{
	const struct capos_caps *c = &capos_caps;
	if (cap == c->standard_output || cap == c->standard_error || cap == c->host || cap == c->thread_spawner)
		return false;
	if (cap == c->standard_input && method == CAPOS_CONSOLE_READ)
		return false;
	if (cap == c->timer && method == CAPOS_TIMER_SLEEP)
		args[0] &= 0xffff;
	if (cap == c->timer && method == CAPOS_TIMER_SLEEP_UNTIL)
		args[0] = capos_now_ns() + (args[0] & 0xffff);
	if (cap == victim && method == CAPOS_THREAD_HANDLE_JOIN)
		args[0] &= 0xffff;
	if (cap == victim && method == CAPOS_THREAD_HANDLE_WRITE_STATE)
		args[1] = 255;
	if (cap == c->thread_control)
		return method != CAPOS_THREAD_CONTROL_SET_FS_BASE && method != CAPOS_THREAD_CONTROL_EXIT_THREAD &&
		       method != CAPOS_THREAD_CONTROL_SET_NOTIFICATION && method != CAPOS_THREAD_CONTROL_SET_MASK &&
		       method != CAPOS_THREAD_CONTROL_RESUME;
	if (cap == c->vm && (method == CAPOS_VIRTUAL_MEMORY_UNMAP || method == CAPOS_VIRTUAL_MEMORY_DECOMMIT ||
	                     method == CAPOS_VIRTUAL_MEMORY_PROTECT || method == CAPOS_VIRTUAL_MEMORY_COMMIT)) {
		/* only in the arena, or where nothing of ours can be */
		bool inside = args[0] >= arena && args[0] <= arena + ARENA && args[1] <= arena + ARENA - args[0];
		return inside || args[0] >= CAPOS_USER_TOP - PAGE || args[0] < 0x10000;
	}
	return true;
}

/* The bytes that this call, when it succeeds, maps or reserves somewhere; 0: it is none that does. */
static uint64_t mapped_size(const struct fuzzer *f, capos_cap_t cap, uint32_t method, const uint64_t args[6])
{
	if (cap == capos_caps.vm)
		return method == CAPOS_VIRTUAL_MEMORY_MAP || method == CAPOS_VIRTUAL_MEMORY_RESERVE ? args[1] : 0;
	for (unsigned i = 0; i < 8; i++)
		if (cap == f->objects[i] && cap && method == CAPOS_MEMORY_OBJECT_MAP)
			return args[2];
	return 0;
}

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
		return capos_register_call(CAPOS_OPCODE_PARK, cap, args[0], args[1], args[2] & 1 ? capos_now_ns() + 10000 : 0, args[3], args[4]);
	case 1:
		return capos_register_call(CAPOS_OPCODE_UNPARK, cap, args[0], args[1], args[2], args[3], args[4]);
	case 2:
		return capos_syscall(2 + (random >> 16), args[0], args[1] | 2, args[2], args[3], args[4], args[5]);
	case 3: {
		capos_cap_t mine = f->objects[(random >> 16) % 8];
		for (unsigned i = 0; i < 8; i++)
			f->objects[i] = f->objects[i] == mine ? 0 : f->objects[i];
		return capos_release(mine ? mine : (capos_cap_t)(random >> 32) | 0x80000000);
	}
	case 4: {
		int64_t made = capos_call(capos_caps.memory_allocator, 0, args[0], 0, 0, 0, 0);
		unsigned slot = f->object_count++ % 8;
		if (capos_is_error(made))
			return made;
		if (f->objects[slot])
			capos_release(f->objects[slot]);
		f->objects[slot] = (capos_cap_t)made;
		return made;
	}
	default:
		break;
	}
	if (!tame(cap, method, args))
		return 0;
	if (cap == capos_caps.memory_allocator)
		return 0; /* case 4 keeps what is made */
	int64_t result = capos_call(cap, method, args[0], args[1], args[2], args[3], args[4]);
	if (cap == capos_caps.thread_control && method == CAPOS_THREAD_CONTROL_SELF && !capos_is_error(result))
		capos_release((capos_cap_t)result);
	uint64_t mapped = capos_is_error(result) ? 0 : mapped_size(f, cap, method, args);
	if (mapped) /* and no more: what lies next to it, alike, is somebody else's */
		capos_virtual_memory_unmap(capos_caps.vm, (uint64_t)result, mapped);
	return result;
}

/* Sixteen random submissions of operations that return no capability, entered at once, sometimes with indices that make no sense. */
static int64_t random_ring(struct fuzzer *f)
{
	static const uint8_t opcodes[] = { CAPOS_OPCODE_NOP, CAPOS_OPCODE_CALL, CAPOS_OPCODE_CALL, CAPOS_OPCODE_CALL, CAPOS_OPCODE_RECV,
		                           CAPOS_OPCODE_RETURN, CAPOS_OPCODE_FINISH, CAPOS_OPCODE_UNPARK, CAPOS_OPCODE_COMPACT, 9, 255 };
	struct capos_ring_header *ring = capos_ring();
	struct capos_submission *submissions = capos_ring_submissions(ring);
	uint64_t random = random_next(&f->seed);
	unsigned count = random % (CAPOS_RING_SUBMISSIONS + 1);
	ring->completion_head = ring->completion_tail;
	for (unsigned i = 0; i < count; i++) {
		struct capos_submission *s = &submissions[(ring->submission_tail + i) % CAPOS_RING_SUBMISSIONS];
		uint64_t *args = (uint64_t *)s->args, r = random_next(&f->seed);
		*s = (struct capos_submission){ .opcode = opcodes[r % sizeof opcodes], .method = r >> 8 & 15, .cap = any_cap(f), .user_data = r };
		s->flags = (r >> 16 & 31) == 0 ? 1 : 0;
		for (int n = 0; n < 6; n++)
			args[n] = any_value(f);
		if (s->opcode == CAPOS_OPCODE_CALL && (r >> 24 & 3)) { /* a message of the arena, in more or less good order */
			args[0] = arena + (r >> 32 & 0xff8);
			args[1] = 8 + (r >> 44 & 0x78);
			args[2] = arena + PAGE;
			args[3] = r >> 50 & 0xfff;
			args[4] = args[5] = 0;
		}
		bool over_message = s->opcode == CAPOS_OPCODE_CALL;
		bool kept = s->cap != capos_caps.memory_allocator && s->cap != capos_caps.vm && s->cap != capos_caps.thread_control &&
		            s->cap != capos_caps.thread_spawner;
		bool waits = s->cap == capos_caps.timer || s->cap == victim || s->cap == capos_caps.standard_input;
		bool compact = s->opcode == CAPOS_OPCODE_COMPACT;
		if ((over_message && (!kept || waits)) ||
		    (compact && (!kept || !tame(s->cap, s->method, args) || s->cap == victim)))
			s->opcode = CAPOS_OPCODE_NOP;
	}
	uint32_t tail = ring->submission_tail;
	__atomic_store_n(&ring->submission_tail, tail + (random >> 8 & 63 ? count : (uint32_t)(random >> 32)), __ATOMIC_RELEASE);
	if ((random >> 16 & 63) == 0)
		ring->completion_head = (uint32_t)(random >> 20);
	if ((random >> 24 & 63) == 0)
		ring->submission_head = ring->completion_tail = (uint32_t)(random >> 28);
	int64_t result = capos_syscall(CAPOS_SYS_CAP_ENTER, random >> 40 & 15, random >> 50, 0, 0, 0, 0);
	if (result < 0) { /* nothing was taken: back to sense */
		ring->submission_tail = tail;
		ring->completion_head = ring->completion_tail;
		capos_syscall(CAPOS_SYS_CAP_ENTER, 0, 0, 0, 0, 0, 0);
		ring->submission_tail = ring->submission_head;
		ring->completion_head = ring->completion_tail;
	}
	return result;
}

static int64_t fuzz(void *argument)
{
	struct fuzzer *f = argument;
	fill_pool(f);
	while (__atomic_fetch_add(&completed, 16, __ATOMIC_RELAXED) < operations) {
		if (random_next(&f->seed) & 1) {
			random_ring(f);
			continue;
		}
		for (int i = 0; i < 16; i++) {
			int64_t result = random_register_call(f);
			f->accepted += !capos_is_error(result);
			f->refused += capos_is_error(result);
		}
	}
	for (unsigned i = 0; i < 8; i++)
		if (f->objects[i])
			capos_release(f->objects[i]);
	return 0;
}

int main(int argc, char **argv)
{
	static struct fuzzer fuzzers[THREADS];
	uint64_t seed = random_seed(argc, argv), flag = 0;
	operations = capos_cpu_count() == 1 ? 1000000 : 150000;
	uint64_t reserved = vm_reserve(3 * ARENA);
	arena = reserved + ARENA; /* nothing of ours next to it */
	victim = raw_spawn(raw_park, (uint64_t)&flag, 0);
	for (unsigned i = 0; i < THREADS; i++) {
		fuzzers[i].seed = seed + i * 0x9e3779b97f4a7c16ull;
		OK(capos_thread_start(&fuzzers[i].thread, fuzz, &fuzzers[i], NULL));
	}
	uint64_t accepted = 0, refused = 0;
	for (unsigned i = 0; i < THREADS; i++) {
		OK(capos_thread_join(fuzzers[i].thread, NULL));
		accepted += fuzzers[i].accepted;
		refused += fuzzers[i].refused;
	}
	while (capos_thread_handle_resume(victim) == 0)
		;
	raw_wake((uint32_t *)&flag);
	CHECK_EQUAL(raw_join(victim), 0);
	/* What random calls have left of the reservation goes with the process, which the runner's frame count covers. */
	CHECK_EQUAL(thread_count(), 1);
	CHECK(accepted > 1000 && refused > 1000); /* else it tests nothing */
	printf("# %llu calls accepted, %llu refused\n", (unsigned long long)accepted, (unsigned long long)refused);
	if (check_why[0])
		printf("FAIL random_calls: %s\n", check_why);
	else
		printf("ok random_calls\n");
	return check_why[0] != 0;
}
