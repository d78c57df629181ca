/* Errors of ProcessSpawner and Process, in both forms: nothing is left of a child that was not
 * made.
 *
 * // test: limit 32M
 */
#include "spawn.h"

#define UNMAPPED 0x7000ull

/* A request that would succeed, but for what a test changes. */
struct request {
	capos_cap_t image;
	uint64_t offset, size;
	const void *args, *env, *grants;
	size_t args_size, env_size, grants_size;
	uint64_t pages;
	uint32_t flags;
	const void *limits;
	size_t limits_size;
};

static struct grants grants;
static struct strings args;
static capos_cap_t child;

static struct request good(void)
{
	grants = usual_grants();
	args = arguments("never", NULL);
	return (struct request){ .image = capos_caps.boot,
		.offset = own.offset,
		.size = own.size,
		.args = args.bytes,
		.args_size = args.size,
		.grants = grants.list,
		.grants_size = grants.count * sizeof grants.list[0],
		.flags = CAPOS_SPAWN_SHARED };
}

static int64_t compact(const struct request *r)
{
	return capos_process_spawner_spawn(capos_caps.process_spawner, r->image, r->offset, r->size,
		r->args, r->args_size, r->env, r->env_size, r->grants, r->grants_size, r->pages,
		r->flags, r->limits, r->limits_size, &child);
}

static int64_t message(const struct request *r)
{
	return capos_process_spawner_spawn_message(capos_caps.process_spawner, r->image, r->offset,
		r->size, r->args, r->args_size, r->env, r->env_size, r->grants, r->grants_size,
		r->pages, r->flags, r->limits, r->limits_size, &child);
}

/* The call fails in both forms. */
#define BOTH_FAIL(error, request)                                               \
	do {                                                                    \
		CHECK_FAILS(PROCESS_SPAWNER_SPAWN, error, compact(&(request))); \
		CHECK_FAILS(PROCESS_SPAWNER_SPAWN, error, message(&(request))); \
	} while (0)

static uint64_t image_end(void)
{
	struct capos_boot_image_header header;
	CHECK_EQUAL(capos_boot_image_read_manifest(
			    capos_caps.boot, 0, sizeof header, &header, sizeof header),
		sizeof header);
	return header.total_size;
}

static void images_are_checked(void)
{
	struct request r = good();
	r.image = capos_caps.vm;
	BOTH_FAIL(INVALID_ARGUMENT, r);
	r.image = 0;
	BOTH_FAIL(NOT_FOUND, r);
	r.image = capos_caps.boot ^ 0x10000; /* another generation */
	BOTH_FAIL(NOT_FOUND, r);
	r.image = 0xffffffff;
	BOTH_FAIL(NOT_FOUND, r);
	r = good();
	r.offset += 8;
	BOTH_FAIL(MISALIGNED, r);
	r.offset = 1ull << 60;
	BOTH_FAIL(OUT_OF_RANGE, r);
	r.offset = ~0ull << 12;
	BOTH_FAIL(OUT_OF_RANGE, r);
	r = good();
	r.size = ~0ull;
	BOTH_FAIL(OUT_OF_RANGE, r);
	r.size = 0;
	BOTH_FAIL(INVALID_ARGUMENT, r);
	r.size = PAGE; /* segments end after it */
	BOTH_FAIL(INVALID_ARGUMENT, r);
	r = good();
	r.offset = 0; /* the image's own header */
	r.size = PAGE;
	BOTH_FAIL(INVALID_ARGUMENT, r);
	r.offset = image_end(); /* arguments and environments */
	BOTH_FAIL(OUT_OF_RANGE, r);
}

static void objects_are_checked(void)
{
	struct request r = good();
	uint64_t address = 0;
	OK(capos_memory_allocator_create(capos_caps.memory_allocator, own.size, &r.image));
	OK(capos_memory_object_map(r.image, 0, 0, own.size, WRITE, &address));
	r.offset = 0;
	BOTH_FAIL(INVALID_ARGUMENT, r); /* zeroes */
	memcpy((void *)address, own.bytes, own.size);
	r.size = (own.size + PAGE - 1) / PAGE * PAGE + 1;
	BOTH_FAIL(OUT_OF_RANGE, r);
	r.size = own.size;
	r.offset = (own.size + 2 * PAGE - 1) / PAGE * PAGE;
	BOTH_FAIL(OUT_OF_RANGE, r);
	r.offset = 0;
	/* The entry point is at the beginning of the first page with code. */
	for (uint64_t place = 0; place + 16 < own.size; place += 16) {
		struct capos_program_mark *mark = (void *)(address + place);
		if (mark->jump == CAPOS_PROGRAM_MARK_JUMP && memcmp(mark->name, "capOS", 6) == 0)
			mark->version++;
	}
	BOTH_FAIL(WRONG_STATE, r);
	((uint8_t *)address)[18] ^= 1; /* the machine */
	BOTH_FAIL(INVALID_ARGUMENT, r);
	OK(capos_memory_object_unmap(r.image, address, own.size));
	OK(capos_release(r.image));
}

static void strings_are_checked(void)
{
	static char large[CAPOS_SPAWN_STRINGS_MAX + 1];
	struct request r = good();
	r.args_size--; /* no NUL at the end */
	BOTH_FAIL(INVALID_ARGUMENT, r);
	r = good();
	r.env = "A=1";
	r.env_size = 3;
	BOTH_FAIL(INVALID_ARGUMENT, r);
	r.env = large;
	r.env_size = CAPOS_SPAWN_STRINGS_MAX - r.args_size + 1;
	CHECK_FAILS(PROCESS_SPAWNER_SPAWN, LIMIT_REACHED, compact(&r));
	r.env_size = ~0ull;
	CHECK_FAILS(PROCESS_SPAWNER_SPAWN, LIMIT_REACHED, compact(&r));
	r = good();
	r.args = large;
	r.args_size = sizeof large;
	CHECK_FAILS(PROCESS_SPAWNER_SPAWN, LIMIT_REACHED, compact(&r));
	r = good();
	r.args = (void *)UNMAPPED;
	CHECK_FAILS(PROCESS_SPAWNER_SPAWN, BAD_ADDRESS, compact(&r));
	r = good();
	r.env = (void *)KERNEL_HALF;
	r.env_size = 8;
	CHECK_FAILS(PROCESS_SPAWNER_SPAWN, BAD_ADDRESS, compact(&r));
	r = good();
	r.grants = (void *)~63ull;
	CHECK_FAILS(PROCESS_SPAWNER_SPAWN, BAD_ADDRESS, compact(&r));
}

static void grants_are_checked(void)
{
	struct request r = good();
	capos_cap_t self = 0;
	r.grants_size -= 8;
	BOTH_FAIL(INVALID_ARGUMENT, r);
	r = good();
	grants.list[0].name[0] = '\0';
	BOTH_FAIL(INVALID_ARGUMENT, r);
	r = good();
	memset(grants.list[3].name, 'x', sizeof grants.list[3].name);
	BOTH_FAIL(INVALID_ARGUMENT, r);
	r = good();
	memcpy(grants.list[4].name, grants.list[1].name, sizeof grants.list[1].name);
	BOTH_FAIL(INVALID_ARGUMENT, r);
	r = good();
	grants.list[2].reserved = 1;
	BOTH_FAIL(INVALID_ARGUMENT, r);
	r = good();
	grants.list[2].reserved2 = 1ull << 63;
	BOTH_FAIL(INVALID_ARGUMENT, r);
	r = good();
	grants.list[5].cap = 0;
	BOTH_FAIL(NOT_FOUND, r);
	grants.list[5].cap = 0x7fff0fff;
	BOTH_FAIL(NOT_FOUND, r);
	r = good();
	OK(capos_thread_control_self(capos_caps.thread_control, &self));
	grants.list[5].cap = self;
	OK(capos_release(self));
	BOTH_FAIL(NOT_FOUND, r); /* held a moment ago */
	r = good();
	r.grants_size = (CAPOS_SPAWN_GRANTS_MAX + 1) * sizeof grants.list[0];
	BOTH_FAIL(LIMIT_REACHED, r);
}

static void charges_are_checked(void)
{
	struct request r = good();
	r.flags = 4 | CAPOS_SPAWN_SHARED;
	BOTH_FAIL(INVALID_ARGUMENT, r);
	r.flags = 0;
	BOTH_FAIL(INVALID_ARGUMENT, r); /* no limit */
	r.pages = 32 * 256;             /* the parent's own, of which some is used */
	BOTH_FAIL(NO_MEMORY, r);
	r.pages = ~0ull;
	BOTH_FAIL(NO_MEMORY, r);
	for (r.pages = 1; r.pages < 16; r.pages++)
		BOTH_FAIL(NO_MEMORY, r);
	r.flags = CAPOS_SPAWN_SHARED; /* a ceiling */
	for (r.pages = 1; r.pages < 16; r.pages++)
		BOTH_FAIL(NO_MEMORY, r);
}

/* At the parent's limit, page by page: each step of a spawn finds none left once. */
static void a_child_beyond_the_limit_fails(void)
{
	struct request r = good();
	uint64_t first = vm_reserve(64ull << 20), taken = 0;
	bool failed = false;
	while (vm_commit(first + taken * PAGE, PAGE, WRITE) == 0)
		taken++;
	CHECK_FAILS(PROCESS_SPAWNER_SPAWN, NO_MEMORY, compact(&r));
	for (int64_t status = CAPOS_E(NO_MEMORY); status != 0 && taken && !check_why[0];) {
		status = compact(&r);
		failed |= status == CAPOS_E(NO_MEMORY);
		CHECK(status == 0 || status == CAPOS_E(NO_MEMORY));
		if (status != 0)
			OK(vm_decommit(first + --taken * PAGE, PAGE));
	}
	CHECK(failed && taken > 0);
	finish(child);
	OK(vm_unmap(first, 64ull << 20));
}

static void a_full_table_fails(void)
{
	static capos_cap_t caps[CAPOS_CAP_SLOTS_MAX];
	struct request r = good();
	unsigned count = 0;
	while (capos_thread_control_self(capos_caps.thread_control, &caps[count]) == 0)
		count++;
	BOTH_FAIL(NO_SLOTS, r);
	for (unsigned i = 0; i < count; i++)
		OK(capos_release(caps[i]));
}

static void handles_are_checked(void)
{
	struct capos_process_end end;
	CHECK_EQUAL(capos_process_wait(0x7fff0fff, 0, &end, sizeof end),
		CAPOS_TRANSPORT_E(INVOKE_FAILED));
	CHECK_EQUAL(capos_process_kill(capos_caps.vm + 0x10000), CAPOS_TRANSPORT_E(INVOKE_FAILED));
}

static int role_never(int argc, char **argv)
{
	(void)argc, (void)argv;
	return 0;
}

static const struct role roles[] = { { "never", role_never } };

/* The first of each kind makes the parent's slabs and touches its stack. */
static void run_all(void)
{
	images_are_checked();
	objects_are_checked();
	strings_are_checked();
	grants_are_checked();
	charges_are_checked();
	a_child_beyond_the_limit_fails();
	a_full_table_fails();
}

static void nothing_is_left(void)
{
	run_all();
	struct capos_memory_usage before = program_usage();
	run_all();
	CHECK_USAGE_IS(before);
}

int main(int argc, char **argv)
{
	int code = PLAY_ROLE(argc, argv);
	if (code >= 0 || argc > 1)
		return code;
	RUN(images_are_checked);
	RUN(objects_are_checked);
	RUN(strings_are_checked);
	RUN(grants_are_checked);
	RUN(charges_are_checked);
	RUN(a_child_beyond_the_limit_fails);
	RUN(a_full_table_fails);
	RUN(handles_are_checked);
	RUN(nothing_is_left);
	return check_result();
}
