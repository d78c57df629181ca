/* Capabilities on behalf of a process, used while that process is killed, while their holder is, or
 * both, and while they are taken back. The kernel compares its counts of objects and frames after
 * the program. The first argument is the seed.
 */
#include "raw_thread.h"
#include "spawn.h"

#define FOREVER CAPOS_WAIT_FOREVER
#define ROUNDS 10u
#define FAR (1ull << 40) /* where nothing else is */
#define FAR_SIZE (64 * PAGE)
#define KINDS 4u
#define MOMENT_NS (2 * MS_NS)

/* ---- acting on a process ---- */

static const char *const names[KINDS] = { "its_vm", "its_memory", "its_threads", "its_spawner" };

struct behalf {
	capos_cap_t caps[KINDS];
};

static int64_t act_on_space(capos_cap_t vm, uint64_t step)
{
	uint64_t at = 0, size = PAGE * (1 + step % 8);
	int64_t status = capos_virtual_memory_map(
		vm, FAR + PAGE * (step % 32), size, WRITE | (step & 8 ? DEMAND_ZERO : 0), &at);
	if (status == 0 && step & 1)
		status = capos_virtual_memory_protect(vm, at, PAGE, READ);
	if (status == 0)
		status = capos_virtual_memory_unmap(vm, at, size);
	return status;
}

static int64_t act_on_memory(const struct behalf *its)
{
	capos_cap_t object = 0;
	uint64_t at = 0;
	int64_t status = capos_memory_allocator_create(its->caps[1], 4 * PAGE, &object);
	if (status != 0)
		return status;
	status =
		capos_virtual_memory_map_object(its->caps[0], object, FAR, 0, 4 * PAGE, WRITE, &at);
	if (status == 0)
		status = capos_virtual_memory_unmap(its->caps[0], at, 4 * PAGE);
	OK(capos_release(object));
	return status;
}

static int64_t act_on_threads(capos_cap_t threads)
{
	capos_cap_t thread = 0;
	int64_t result,
		status = capos_thread_spawner_spawn(
			threads, (uint64_t)raw_exit, 0, 3, 0, 0, "there", &thread);
	if (status != 0)
		return status;
	status = capos_thread_handle_join(thread, FOREVER, &result);
	OK(capos_release(thread));
	return status;
}

static int64_t act_on_children(capos_cap_t spawner)
{
	struct grants grants = usual_grants();
	struct strings args = arguments("leaf", NULL);
	capos_cap_t process = 0;
	int64_t status = capos_process_spawner_spawn(spawner, capos_caps.boot, own.offset, own.size,
		args.bytes, args.size, NULL, 0, grants.list, grants.count * sizeof grants.list[0],
		256, 0, NULL, 0, &process);
	if (status == 0)
		OK(capos_release(process));
	return status == CAPOS_E(NO_MEMORY) ? 0 : status;
}

/* The first status that says that it is over. */
static int64_t act(const struct behalf *its, unsigned kind)
{
	for (uint64_t step = kind;; step++) {
		int64_t status = 0;
		switch ((kind + step / 16) % KINDS) {
		case 0:
			status = act_on_space(its->caps[0], step);
			break;
		case 1:
			status = act_on_memory(its);
			break;
		case 2:
			status = act_on_threads(its->caps[2]);
			break;
		default:
			status = act_on_children(its->caps[3]);
		}
		if (status == CAPOS_E(DISCONNECTED) || status == CAPOS_E(REVOKED))
			return status;
	}
}

/* ---- roles ---- */

/* Sends what is for itself, and sleeps. */
static int role_lend(int argc, char **argv)
{
	struct capos_message m = { { 0 } };
	const capos_cap_t sent[KINDS] = { capos_caps.vm, capos_caps.memory_allocator,
		capos_caps.thread_spawner, capos_caps.process_spawner };
	(void)argc, (void)argv;
	for (unsigned i = 0; i < KINDS; i++) {
		capos_cap_t cap = sent[i];
		if (capos_endpoint_call_cap(capos_cap("facet"), &m, &cap, 0, FOREVER) != 0)
			return 1;
	}
	capos_sleep_ns(CAPOS_WAIT_FOREVER / 2);
	return 0;
}

static int role_act(int argc, char **argv)
{
	struct behalf its;
	for (unsigned i = 0; i < KINDS; i++)
		its.caps[i] = capos_cap(names[i]);
	return act(&its, argc > 2 ? (unsigned)atoi(argv[2]) : 0) == CAPOS_E(REVOKED) ? 7 : 8;
}

static int role_leaf(int argc, char **argv)
{
	(void)argc, (void)argv;
	return 0;
}

static const struct role roles[] = { { "lend", role_lend }, { "act", role_act },
	{ "leaf", role_leaf } };

/* ---- the parent ---- */

static uint64_t state;

static void sleep_a_moment(void)
{
	capos_sleep_ns((random_next(&state) >> 16) % MOMENT_NS);
}

static void killed(capos_cap_t process)
{
	OK(capos_process_kill(process));
	finishes(process, CAPOS_EXIT_KIND_KILLED, CAPOS_NOTIFICATION_KIND_TERMINATE);
}

static capos_cap_t start_lender(struct behalf *its)
{
	struct grants grants = usual_grants();
	struct strings args = arguments("lend", NULL);
	struct capos_message m;
	capos_cap_t endpoint = 0, facet = 0, process = 0;
	uint64_t tag;
	OK(capos_endpoint_factory_create(capos_caps.endpoint_factory, 4, &endpoint));
	OK(capos_endpoint_make_facet(endpoint, 1, &facet));
	OK(capos_endpoint_accept(endpoint, 1));
	grant(&grants, "facet", facet);
	OK(spawn_with(&grants, &args, 1024, &process));
	for (unsigned i = 0; i < KINDS; i++) {
		CHECK_EQUAL(capos_endpoint_receive_cap(endpoint, &m, &its->caps[i], &tag, FOREVER),
			CAPOS_RECEIVE_RESULT_CALL);
		CHECK_EQUAL(capos_endpoint_reply(&m, 0), CAPOS_REPLY_RESULT_ANSWERED);
	}
	OK(capos_release(facet));
	OK(capos_release(endpoint));
	return process;
}

static capos_cap_t start_actor(const struct behalf *its, unsigned kind)
{
	char text[2] = { (char)('0' + kind % KINDS), 0 };
	struct grants grants = usual_grants();
	struct strings args = arguments("act", text);
	capos_cap_t process = 0;
	for (unsigned i = 0; i < KINDS; i++)
		grant(&grants, names[i], its->caps[i]);
	OK(spawn_with(&grants, &args, 0, &process));
	return process;
}

static void release_all(const struct behalf *its)
{
	for (unsigned i = 0; i < KINDS; i++)
		OK(capos_release(its->caps[i]));
}

struct actor {
	const struct behalf *its;
	unsigned kind;
};

static int64_t run_actor(void *argument)
{
	const struct actor *actor = argument;
	return act(actor->its, actor->kind);
}

/* Threads of this process are in calls on the lender when it dies. */
static void the_lender_is_killed(void)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct behalf its;
		struct actor actors[KINDS];
		struct capos_thread *threads[KINDS];
		capos_cap_t lender = start_lender(&its);
		for (unsigned i = 0; i < KINDS; i++) {
			actors[i] = (struct actor){ &its, i };
			OK(capos_thread_start(&threads[i], run_actor, &actors[i], NULL));
		}
		sleep_a_moment();
		killed(lender);
		for (unsigned i = 0; i < KINDS; i++) {
			int64_t status = 0;
			OK(capos_thread_join(threads[i], &status));
			CHECK_EQUAL(status, CAPOS_E(DISCONNECTED));
		}
		release_all(&its);
	}
}

/* A holder dies in its call, on this process, which can undo what was left. */
static void the_holder_is_killed(void)
{
	const struct behalf mine = { { capos_caps.vm, capos_caps.memory_allocator,
		capos_caps.thread_spawner, capos_caps.process_spawner } };
	struct capos_memory_usage before = program_usage();
	for (unsigned round = 0; round < ROUNDS; round++) {
		capos_cap_t actor = start_actor(&mine, round);
		sleep_a_moment();
		killed(actor);
		for (uint64_t at = FAR; at < FAR + FAR_SIZE; at += PAGE)
			(void)vm_unmap(at, PAGE);
	}
	wait_for_threads(1);
	/* Children that it started here end by themselves. */
	for (int i = 0; i < 1000 && program_usage().committed_pages != before.committed_pages; i++)
		capos_sleep_ns(MS_NS);
	CHECK_USAGE_IS(before);
}

static void both_are_killed(void)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct behalf its;
		capos_cap_t lender = start_lender(&its), actors[2];
		for (unsigned i = 0; i < 2; i++)
			actors[i] = start_actor(&its, round + i);
		release_all(&its);
		sleep_a_moment();
		OK(capos_process_kill(round % 2 ? lender : actors[0]));
		OK(capos_process_kill(round % 2 ? actors[0] : lender));
		finishes(lender, CAPOS_EXIT_KIND_KILLED, CAPOS_NOTIFICATION_KIND_TERMINATE);
		finish(actors[0]); /* by itself, if it saw that the lender was gone */
		finishes(actors[1], CAPOS_EXIT_KIND_EXITED, 8);
	}
}

static void it_is_taken_back(void)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct behalf its, copies;
		capos_cap_t lender = start_lender(&its), lease[KINDS];
		for (unsigned i = 0; i < KINDS; i++) {
			OK(capos_lease_factory_create(
				capos_cap("lease_factory"), its.caps[i], &lease[i]));
			OK(capos_lease_copy(lease[i], &copies.caps[i]));
		}
		capos_cap_t actor = start_actor(&copies, round);
		release_all(&copies);
		release_all(&its);
		sleep_a_moment();
		for (unsigned i = 0; i < KINDS; i++)
			OK(capos_lease_revoke(lease[i]));
		finishes(actor, CAPOS_EXIT_KIND_EXITED, 7);
		for (unsigned i = 0; i < KINDS; i++)
			OK(capos_release(lease[i]));
		killed(lender);
	}
}

int main(int argc, char **argv)
{
	int role = PLAY_ROLE(argc, argv);
	if (role >= 0)
		return role;
	state = random_seed(argc, argv);
	RUN(the_lender_is_killed);
	RUN(the_holder_is_killed);
	RUN(both_are_killed);
	RUN(it_is_taken_back);
	return check_result();
}
