/* Budgets of CPU time and calls: what a server does for a client with a limit is charged to that,
 * also through another server, and along with a shared limit. The server itself does not stop, and
 * its other clients do not wait for the limit. Death of either side in the middle leaves nothing.
 *
 * A server here is a thread of this process, which has no limit. */
#include "message.h"
#include "spawn.h"

#define RUN_NS (300 * MS_NS)
#define WORK_NS MS_NS
#define LIMIT 100u /* thousandths of a CPU */
#define DEADLINE_NS (40 * MS_NS)

#define TAG_WORK 1u /* words[0]: how long to work */
#define TAG_BRIEF 2u
#define TAG_STOP 3u

/* ---- clients ---- */

/* Calls for work as fast as it gets it. */
static int role_client(int argc, char **argv)
{
	(void)argc, (void)argv;
	uint64_t until_ns = capos_now_ns() + RUN_NS;
	while (capos_now_ns() < until_ns) {
		struct registers r = { .words = { WORK_NS } };
		if (ENTER(&r, ENDPOINT_CALL, capos_cap("facet"), FOREVER) != 0)
			return 1;
	}
	return 0;
}

/* Calls for work of a second. */
static int role_long(int argc, char **argv)
{
	(void)argc, (void)argv;
	struct registers r = { .words = { 1000 * MS_NS } };
	return ENTER(&r, ENDPOINT_CALL, capos_cap("facet"), FOREVER) == 0 ? 0 : 7;
}

/* Gives a long call up, and then computes: it has to make up for what the server did until then,
 * and not for what that does after. The exit code is for how many ms the call lasted. */
static int role_impatient(int argc, char **argv)
{
	(void)argc, (void)argv;
	uint64_t since_ns = capos_now_ns();
	struct registers r = { .words = { 400 * MS_NS } };
	if (ENTER(&r, ENDPOINT_CALL, capos_cap("facet"), since_ns + 5 * MS_NS) !=
		CAPOS_E(TIMED_OUT))
		return 0;
	uint64_t lasted_ns = capos_now_ns() - since_ns;
	for (unsigned i = 0; i < 300; i++) {
		uint64_t until_ns = capos_now_ns() + MS_NS / 4;
		while (capos_now_ns() < until_ns)
			;
	}
	return (int)(lasted_ns / MS_NS);
}

/* Has a client that shares its limit. */
static int role_parent(int argc, char **argv)
{
	(void)argc, (void)argv;
	struct grants grants = usual_grants();
	struct strings args = arguments("client", NULL);
	const struct capos_spawn_limits limits = { .cpu = 0 };
	capos_cap_t process = 0;
	grant(&grants, "facet", capos_cap("facet"));
	if (spawn_limited(&grants, &args, &limits, &process) != 0)
		return 1;
	struct capos_process_end end = finish(process);
	return end.kind == CAPOS_EXIT_KIND_EXITED ? end.code : 2;
}

/* Receives a call and ends. */
static int role_leave(int argc, char **argv)
{
	(void)argc, (void)argv;
	struct registers r = { 0 };
	return ENTER(&r, RECEIVE, capos_cap("endpoint"), FOREVER) == CAPOS_RECEIVE_RESULT_CALL ? 5
											       : 1;
}

static const struct role roles[] = { { "client", role_client }, { "long", role_long },
	{ "impatient", role_impatient }, { "parent", role_parent }, { "leave", role_leave } };

/* ---- servers ---- */

struct server {
	capos_cap_t endpoint, work, brief, stop; /* and facets of it */
	capos_cap_t next;                        /* a facet of the server that does it; or 0 */
	volatile bool working;                   /* it has been */
	volatile uint64_t worked_ns;
	volatile uint32_t gone; /* callers that were when they were answered */
	struct capos_thread *thread;
};

static void work(struct server *server, uint64_t work_ns)
{
	uint64_t since_ns = capos_now_ns();
	server->working = true;
	if (server->next) {
		struct registers r = { .words = { work_ns } };
		CHECK_EQUAL(ENTER(&r, ENDPOINT_CALL, server->next, FOREVER), 0);
		return;
	}
	while (capos_now_ns() - since_ns < work_ns)
		;
	server->worked_ns += capos_now_ns() - since_ns;
}

static int64_t serve(void *argument)
{
	struct server *server = argument;
	struct registers r = { 0 };
	for (;;) {
		int64_t got = ENTER(&r, RECEIVE, server->endpoint, FOREVER);
		if (got == CAPOS_RECEIVE_RESULT_FACET_GONE)
			continue;
		if (got != CAPOS_RECEIVE_RESULT_CALL)
			return got;
		uint64_t tag = r.rdi;
		if (tag == TAG_WORK)
			work(server, r.words[0]);
		r = (struct registers){ 0 };
		if (ENTER(&r, REPLY, 0, 0) == CAPOS_REPLY_RESULT_GONE)
			server->gone++;
		if (tag == TAG_STOP)
			return 0;
	}
}

static void make(struct server *server)
{
	OK(capos_endpoint_factory_create(capos_caps.endpoint_factory, 8, &server->endpoint));
	OK(capos_endpoint_make_facet(server->endpoint, TAG_WORK, &server->work));
	OK(capos_endpoint_make_facet(server->endpoint, TAG_BRIEF, &server->brief));
	OK(capos_endpoint_make_facet(server->endpoint, TAG_STOP, &server->stop));
}

static void begin(struct server *server, capos_cap_t next)
{
	*server = (struct server){ .next = next };
	make(server);
	OK(capos_thread_start(&server->thread, serve, server, NULL));
}

static void end(struct server *server)
{
	struct registers r = { 0 };
	int64_t result = -1;
	OK(ENTER(&r, ENDPOINT_CALL, server->stop, FOREVER));
	OK(capos_thread_join(server->thread, &result));
	CHECK_EQUAL(result, 0);
	OK(capos_release(server->work));
	OK(capos_release(server->brief));
	OK(capos_release(server->stop));
	OK(capos_release(server->endpoint));
}

static capos_cap_t spawn_client(const char *role, const char *name, capos_cap_t cap, uint32_t cpu)
{
	const struct capos_spawn_limits limits = { .cpu = cpu };
	struct grants grants = usual_grants();
	struct strings args = arguments(role, NULL);
	capos_cap_t process = 0;
	grant(&grants, name, cap);
	OK(spawn_limited(&grants, &args, &limits, &process));
	return process;
}

/* ---- tests ---- */

/* The client has so much of a CPU through the server as its limit allows, with what it has saved at
 * the start, a call that had begun, and a late look. */
static void check_work(const struct server *server, uint64_t since_ns, uint64_t least)
{
	uint64_t took_ns = capos_now_ns() - since_ns;
	uint64_t had = server->worked_ns * 1000 / took_ns;
	printf("# %llu thousandths of a CPU\n", (unsigned long long)had);
	CHECK(had <= LIMIT + 40);
	CHECK(!time_is_exact() || had >= least);
}

static void work_is_charged_to_the_caller(void)
{
	struct server server;
	begin(&server, 0);
	uint64_t since_ns = capos_now_ns();
	capos_cap_t client = spawn_client("client", "facet", server.work, LIMIT);
	/* Another client, without a limit, is never late. */
	for (unsigned i = 0; i < 20; i++) {
		struct registers r = { 0 };
		OK(ENTER(&r, ENDPOINT_CALL, server.brief, capos_now_ns() + DEADLINE_NS));
		capos_sleep_ns(5 * MS_NS);
	}
	finishes(client, CAPOS_EXIT_KIND_EXITED, 0);
	check_work(&server, since_ns, LIMIT / 2);
	end(&server);
}

static void work_is_charged_through_a_server(void)
{
	struct server last, middle;
	begin(&last, 0);
	begin(&middle, last.work);
	uint64_t since_ns = capos_now_ns();
	finishes(spawn_client("client", "facet", middle.work, LIMIT), CAPOS_EXIT_KIND_EXITED, 0);
	check_work(&last, since_ns, LIMIT / 2);
	end(&middle);
	end(&last);
}

static void work_is_charged_along_with_a_shared_limit(void)
{
	struct server server;
	begin(&server, 0);
	uint64_t since_ns = capos_now_ns();
	finishes(spawn_client("parent", "facet", server.work, LIMIT), CAPOS_EXIT_KIND_EXITED, 0);
	check_work(&server, since_ns, LIMIT / 4);
	end(&server);
}

/* A client without a limit has all of the server. */
static void work_without_a_limit_goes_on(void)
{
	struct server server;
	begin(&server, 0);
	uint64_t since_ns = capos_now_ns();
	finishes(spawn_client("client", "facet", server.work, 0), CAPOS_EXIT_KIND_EXITED, 0);
	CHECK(server.worked_ns * 1000 / (capos_now_ns() - since_ns) > LIMIT + 40);
	end(&server);
}

static void a_call_given_up_is_not_charged(void)
{
	struct server server;
	struct capos_process_end ended = { .code = 0 };
	struct capos_process_resources usage = { 0 };
	begin(&server, 0);
	uint64_t since_ns = capos_now_ns();
	capos_cap_t client = spawn_client("impatient", "facet", server.work, LIMIT);
	CHECK_EQUAL(capos_process_wait(client, FOREVER, &ended, sizeof ended), sizeof ended);
	uint64_t took_ns = capos_now_ns() - since_ns;
	CHECK_EQUAL(capos_process_usage(client, &usage, sizeof usage), sizeof usage);
	CHECK(ended.code >= 5);
	/* The rest of the call would be 4 s. */
	uint64_t charged_ns = usage.cpu_time_ns + (uint64_t)ended.code * MS_NS;
	CHECK(took_ns < charged_ns * 1000 / LIMIT + 1500 * MS_NS);
	OK(capos_release(client));
	end(&server);
	CHECK_EQUAL(server.gone, 1);
}

static void death_in_the_middle_leaves_nothing(void)
{
	struct capos_memory_usage before = program_usage();
	struct server server;
	begin(&server, 0);
	capos_cap_t client = spawn_client("long", "facet", server.work, LIMIT);
	while (!server.working)
		capos_sleep_ns(MS_NS);
	OK(capos_process_kill(client));
	finishes(client, CAPOS_EXIT_KIND_KILLED, CAPOS_NOTIFICATION_KIND_TERMINATE);
	struct registers r = { 0 };
	OK(ENTER(&r, ENDPOINT_CALL, server.brief, FOREVER)); /* which does not stop */
	CHECK_EQUAL(server.gone, 1);
	end(&server);

	make(&server);
	client = spawn_client("long", "facet", server.work, LIMIT);
	capos_cap_t dies = spawn_client("leave", "endpoint", server.endpoint, 0);
	finishes(dies, CAPOS_EXIT_KIND_EXITED, 5);
	finishes(client, CAPOS_EXIT_KIND_EXITED, 7);
	OK(capos_release(server.work));
	OK(capos_release(server.brief));
	OK(capos_release(server.stop));
	OK(capos_release(server.endpoint));
	CHECK_EQUAL(program_usage().committed_pages, before.committed_pages);
}

int main(int argc, char **argv)
{
	int code = PLAY_ROLE(argc, argv);
	if (code >= 0 || argc > 1)
		return code;
	RUN(work_is_charged_to_the_caller);
	RUN(work_is_charged_through_a_server);
	RUN(work_is_charged_along_with_a_shared_limit);
	RUN(work_without_a_limit_goes_on);
	RUN(a_call_given_up_is_not_charged);
	RUN(death_in_the_middle_leaves_nothing);
	return check_result();
}
