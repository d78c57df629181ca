/* faults: makes services of a system fail, by the choices of a seed, and judges what follows. It is
 * a service like others: init gives it the processes of services where the manifest grants that,
 * and ./capos explore starts it once for each seed. docs/explore.md is the manual.
 *
 *     faults seed=NUMBER faults=NUMBER clients=NUMBER [only=N,N...] SERVICE...
 *
 * A fault is that a service is killed, that it is suspended for some microseconds to seconds, or
 * that a word of its memory is overwritten (by the agent in it, agent.c). Each service has to work
 * again afterwards, within a deadline: each client that it has tells so, or, where none does, a new
 * process runs and is ready. Clients report each of their calls (faults.h). A wrong answer is a
 * failure unless the service was corrupted. A corrupted service that goes on is killed after a
 * while.
 *
 * Everything is done by one thread, between the calls that it receives. Times are of the machine's
 * clock, which counts instructions where the run has a seed, so the same seed makes the same faults
 * at the same instructions. All choices of a fault are made before it is known whether it can take
 * place, so that leaving out faults by "only" changes no other. */
#include "faults.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <capos/capos.h>

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)

#define VICTIMS_MAX 16
#define CLIENTS_MAX 16
#define ONLY_MAX 64
#define NO_CLIENT UINT64_C(1) /* in place of clients, of which none has the number 0 */

#define PATIENCE_NS (20000 * MS)  /* a service has to be back, a client to go on */
#define ANSWER_NS (5000 * MS)     /* init has to answer */
#define LOOK_NS (1 * MS)          /* between two looks at a service without clients */
#define SETTLED_NS (5 * MS)       /* a new process has worked for so long */
#define GAP_NS (20 * MS)          /* between faults, at most */
#define STRIKE_NS (50 * US)       /* after a client's report, at most */
#define SUSPENSION_NS (2000 * MS) /* at most */
#define CORRUPTED_NS (200 * MS)   /* that a corrupted service goes on, at most */
#define INIT_PAGES_MORE 4
#define FIRST_NS (100 * MS) /* nothing fails before */

enum kind { KILL, SUSPEND, CORRUPT };
static const char *const kinds[] = { "kill", "suspend", "corrupt" };

/* One fault as the seed has it. */
struct choice {
	uint32_t number, victim;
	enum kind kind;
	bool alone;     /* it waits until no service is left to recover */
	bool any_time;  /* or delay_ns after a report */
	uint64_t at_ns; /* 0: not known yet */
	uint64_t delay_ns, length_ns;
	struct fault_order order;
};

struct victim {
	const char *name;
	capos_cap_t agents; /* the endpoint at which its agent waits; 0: none */
	uint64_t instance;  /* the newest that was seen */
	uint64_t clients;   /* a bit for each that has had a right answer */

	/* of the last fault, while it is not settled */
	bool pending;
	enum kind kind;
	uint32_t number;
	uint64_t fault_ns, from_ns; /* a call that began at from_ns or later proves it works */
	uint64_t failed_instance;
	uint64_t missing; /* of clients: those that have not had a right answer since; or NO_CLIENT
	                   */

	capos_cap_t suspended; /* the process; 0: none */
	uint64_t resume_ns;

	bool corrupted;
	uint64_t corrupted_ns, corrupted_until_ns; /* the last time */
	uint64_t corrupted_instance, end_ns;
};

static struct {
	uint64_t random, hash, begun_ns;
	uint64_t init_pages, init_pages_first;
	uint32_t wanted, made, choices, victim_count, clients_wanted, only_count;
	uint32_t only[ONLY_MAX]; /* the numbers of faults that take place; none: all */
	struct victim victims[VICTIMS_MAX];
	uint64_t seen_ns[CLIENTS_MAX]; /* when a client last reported; 0: never */
	uint64_t gone;                 /* a bit for each client */
	bool stopping;
	struct choice next;
	capos_cap_t processes, endpoint;
} the;

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *format, ...)
{
	char text[160];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	fprintf(stderr, "faults: %s, at %" PRIu64 " us\n", text,
		(capos_now_ns() - the.begun_ns) / US);
	exit(EXIT_FAILURE);
}

/* ---- choices ---- */

/* xorshift64*, as of the machine tests. */
static uint64_t random_word(void)
{
	the.random ^= the.random >> 12;
	the.random ^= the.random << 25;
	the.random ^= the.random >> 27;
	return the.random * UINT64_C(0x2545f4914f6cdd1d);
}

static uint64_t chance(uint64_t n)
{
	return (random_word() >> 16) % n;
}

/* From 1 us to the largest, each order of magnitude as often as the others. */
static uint64_t any_time(uint64_t largest_ns)
{
	uint64_t bits = 64 - (uint64_t)__builtin_clzll(largest_ns / US);
	uint64_t time_ns = (chance(UINT64_C(1) << (1 + chance(bits))) + 1) * US;

	return time_ns < largest_ns ? time_ns : largest_ns;
}

static void choose(void)
{
	struct choice *next = &the.next;
	uint64_t flip = UINT64_C(1) << chance(64), word = random_word(), how = chance(4);
	uint64_t kind = chance(8);

	next->number = the.choices++;
	next->victim = (uint32_t)chance(the.victim_count);
	next->kind = kind < 4 ? KILL : kind < 6 ? SUSPEND : CORRUPT;
	next->alone = chance(8) != 0;
	next->any_time = chance(2) != 0;
	next->at_ns = 0;
	next->delay_ns = any_time(next->any_time ? GAP_NS : STRIKE_NS);
	next->length_ns = any_time(next->kind == SUSPEND ? SUSPENSION_NS : CORRUPTED_NS);
	next->order.page = random_word();
	next->order.word = random_word();
	next->order.kept = how < 2 ? UINT64_MAX : 0; /* a bit flips, the word is random or 0 */
	next->order.changed = how < 2 ? flip : how == 2 ? word : 0;
}

/* A choice that could not take place counts nothing, so its number is not the number of faults. */
static bool enough(void)
{
	return the.only_count != 0 ? the.next.number > the.only[the.only_count - 1]
				   : the.made >= the.wanted;
}

static bool takes_place(uint32_t number)
{
	for (uint32_t i = 0; i < the.only_count; i++)
		if (the.only[i] == number)
			return true;
	return the.only_count == 0;
}

/* ---- what init tells ---- */

/* The process of a service; 0: it has none. The caller has to release it. */
static capos_cap_t look(struct victim *victim)
{
	struct capos_message message = { 0 };
	struct capos_init_process told;
	capos_cap_t process = 0;
	int64_t status;

	do {
		memset(&message, 0, sizeof(message));
		strncpy((char *)message.words, victim->name, 31);
		status = capos_endpoint_call_cap(the.processes, &message, &process,
			CAPOS_MESSAGE_TAKES, capos_now_ns() + ANSWER_NS);
	} while (status == CAPOS_E(INTERRUPTED));
	if (status < 0)
		fail("init tells nothing of %s: %s", victim->name, capos_error_name(status));
	memcpy(&told, message.words, sizeof(told));
	the.init_pages = told.init_pages;
	if (told.over)
		fail("init has given up %s", victim->name);
	if (victim->corrupted && told.instance != victim->corrupted_instance) {
		victim->corrupted = false;
		victim->corrupted_until_ns = told.started_ns;
		victim->from_ns = told.started_ns;
	}
	victim->instance = told.instance;
	if (process != 0 && told.instance != victim->failed_instance && told.ready &&
		capos_now_ns() - told.started_ns >= SETTLED_NS)
		victim->missing &= ~NO_CLIENT;
	return process;
}

/* ---- faults ---- */

static void settle(struct victim *victim)
{
	uint64_t took_ns = capos_now_ns() - victim->fault_ns;

	victim->pending = false;
	printf("capos fault %" PRIu32 ": %s %s at %" PRIu64 " us, recovered in %" PRIu64 " us\n",
		victim->number, kinds[victim->kind], victim->name,
		(victim->fault_ns - the.begun_ns) / US, took_ns / US);
}

/* A fault of a service that has not recovered from the last one: both have when it works. */
static void note(struct victim *victim, const struct choice *choice, uint64_t now_ns)
{
	if (victim->pending)
		printf("capos fault %" PRIu32 ": %s %s at %" PRIu64 " us, then another\n",
			victim->number, kinds[victim->kind], victim->name,
			(victim->fault_ns - the.begun_ns) / US);
	victim->pending = true;
	victim->kind = choice->kind;
	victim->number = choice->number;
	victim->fault_ns = victim->from_ns = now_ns;
	victim->failed_instance = victim->instance;
	victim->missing = victim->clients != 0 ? victim->clients : NO_CLIENT;
	the.hash = (the.hash ^ (now_ns - the.begun_ns) ^ choice->victim) * UINT64_C(0x100000001b3);
}

static bool kill_it(capos_cap_t process)
{
	return process != 0 && capos_process_kill(process) == 0;
}

static void resume(struct victim *victim)
{
	if (victim->suspended == 0)
		return;
	(void)capos_process_resume(victim->suspended); /* wrongState: it has ended meanwhile */
	capos_release(victim->suspended);
	victim->suspended = 0;
	victim->missing &= ~NO_CLIENT;
}

static bool suspend(struct victim *victim, capos_cap_t process, const struct choice *choice)
{
	if (process == 0 || victim->suspended != 0 || capos_process_suspend(process) < 0)
		return false;
	victim->suspended = process;
	victim->resume_ns = capos_now_ns() + choice->length_ns;
	return true;
}

/* False: no agent waits for orders. */
static bool corrupt(struct victim *victim, const struct choice *choice)
{
	struct capos_message message;
	uint64_t tag;
	int64_t got;

	if (victim->agents == 0 || victim->suspended != 0)
		return false;
	do
		got = capos_endpoint_receive(victim->agents, &message, &tag, 0);
	while (got == CAPOS_RECEIVE_RESULT_FACET_GONE);
	if (got != CAPOS_RECEIVE_RESULT_CALL)
		return false;
	memcpy(message.words, &choice->order, sizeof(choice->order));
	if (capos_endpoint_reply(&message, 0) != CAPOS_REPLY_RESULT_ANSWERED)
		return false;
	victim->corrupted = true;
	victim->corrupted_instance = victim->instance;
	victim->corrupted_ns = capos_now_ns();
	victim->end_ns = victim->corrupted_ns + choice->length_ns;
	return true;
}

/* What cannot take place at the moment is tried with the next choice. */
static void strike(void)
{
	struct choice choice = the.next;
	struct victim *victim = &the.victims[choice.victim];
	bool done = true;

	if (takes_place(choice.number)) {
		capos_cap_t process = look(victim);

		if (choice.kind == KILL)
			done = kill_it(process);
		else if (choice.kind == SUSPEND)
			done = suspend(victim, process, &choice);
		else
			done = process != 0 && corrupt(victim, &choice);
		if (done)
			note(victim, &choice, capos_now_ns());
		if (process != 0 && victim->suspended != process)
			capos_release(process);
	}
	the.made += done;
	choose();
}

static bool all_settled(void)
{
	for (uint32_t i = 0; i < the.victim_count; i++)
		if (the.victims[i].pending)
			return false;
	return true;
}

/* Whether the next fault only waits for its time. */
static bool is_next_wanted(void)
{
	return !enough() && capos_now_ns() - the.begun_ns >= FIRST_NS &&
		(!the.next.alone || all_settled());
}

/* ---- reports ---- */

static struct victim *find(const char *name)
{
	for (uint32_t i = 0; i < the.victim_count; i++)
		if (strcmp(the.victims[i].name, name) == 0)
			return &the.victims[i];
	return NULL;
}

/* Whether the service was corrupted at some time since then. */
static bool is_excused(const struct victim *victim, uint64_t since_ns)
{
	return victim->corrupted ||
		(victim->corrupted_ns != 0 && victim->corrupted_until_ns >= since_ns);
}

static uint64_t judge(uint64_t client, const struct fault_report *report)
{
	struct victim *victim = find(report->service);

	if (victim == NULL)
		fail("client %" PRIu64 " calls %.31s, which is not told of", client,
			report->service);
	if (report->outcome == FAULT_WRONG) {
		capos_cap_t process = look(victim); /* it may have been started again */

		if (process != 0)
			capos_release(process);
		if (!is_excused(victim, report->since_ns))
			fail("client %" PRIu64 " got a wrong answer of %s, %" PRIu64, client,
				victim->name, report->detail);
		return FAULT_EXCUSED;
	}
	if (report->outcome == FAULT_RIGHT) {
		victim->clients |= UINT64_C(1) << client;
		if (!victim->corrupted && report->begun_ns >= victim->from_ns)
			victim->missing &= ~(UINT64_C(1) << client);
	}
	return FAULT_GO_ON;
}

static void hear(uint64_t client, struct capos_message *message)
{
	struct fault_report report;
	uint64_t now_ns = capos_now_ns();

	memcpy(&report, message->words, sizeof(report));
	report.service[sizeof(report.service) - 1] = '\0';
	if (client == 0 || client >= CLIENTS_MAX)
		fail("a client with the tag %" PRIu64, client);
	the.seen_ns[client] = now_ns;
	message->words[0] = judge(client, &report);
	if (the.stopping && message->words[0] == FAULT_GO_ON)
		message->words[0] = FAULT_STOP;
	if (is_next_wanted() && !the.next.any_time && the.next.at_ns == 0)
		the.next.at_ns = now_ns + the.next.delay_ns;
}

static void client_gone(uint64_t client)
{
	if (!the.stopping)
		fail("client %" PRIu64 " has ended", client);
	the.gone |= UINT64_C(1) << client;
}

/* ---- time ---- */

static void look_after(struct victim *victim, uint64_t now_ns)
{
	if (victim->suspended != 0 && victim->resume_ns <= now_ns)
		resume(victim);
	if (victim->corrupted || (victim->pending && victim->clients == 0)) {
		capos_cap_t process = look(victim);

		if (victim->corrupted && victim->end_ns <= now_ns)
			(void)kill_it(process);
		if (process != 0)
			capos_release(process);
	}
	if (victim->pending && victim->missing == 0 && !victim->corrupted)
		settle(victim);
	if (victim->pending && now_ns - victim->fault_ns > PATIENCE_NS)
		fail("%s does not work again after fault %" PRIu32 ", %s", victim->name,
			victim->number, kinds[victim->kind]);
}

/* What has failed and was started again must leave nothing with init. The kernel's records lie in
 * pages, of which some are in use more at one time than at another. */
static void check_init(void)
{
	capos_cap_t process = look(&the.victims[0]);

	if (process != 0)
		capos_release(process);
	if (the.init_pages_first == 0)
		the.init_pages_first = the.init_pages;
	if (the.init_pages > the.init_pages_first + INIT_PAGES_MORE)
		fail("the kernel keeps %" PRIu64 " pages for init, and before the faults %" PRIu64,
			the.init_pages, the.init_pages_first);
}

static bool all_gone(void)
{
	return __builtin_popcountll(the.gone) == (int)the.clients_wanted;
}

static void look_after_all(void)
{
	uint64_t now_ns = capos_now_ns();
	uint32_t seen = 0;

	for (uint32_t i = 0; i < the.victim_count; i++)
		look_after(&the.victims[i], now_ns);
	for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
		seen += the.seen_ns[i] != 0;
		if (the.seen_ns[i] != 0 && now_ns - the.seen_ns[i] > PATIENCE_NS &&
			!(the.gone >> i & 1))
			fail("client %" PRIu32 " does not go on", i);
	}
	if (seen != the.clients_wanted && now_ns - the.begun_ns > PATIENCE_NS)
		fail("%" PRIu32 " of %" PRIu32 " clients have reported", seen, the.clients_wanted);
	if (is_next_wanted() && the.init_pages_first == 0)
		check_init();
	if (is_next_wanted() && the.next.any_time && the.next.at_ns == 0)
		the.next.at_ns = now_ns + the.next.delay_ns;
	if (is_next_wanted() && the.next.at_ns != 0 && the.next.at_ns <= now_ns)
		strike();
	the.stopping = enough() && all_settled() && now_ns - the.begun_ns >= 2 * FIRST_NS;
}

static uint64_t next_look_ns(void)
{
	uint64_t until_ns = capos_now_ns() + LOOK_NS;

	if (is_next_wanted() && the.next.at_ns != 0 && the.next.at_ns < until_ns)
		until_ns = the.next.at_ns;
	for (uint32_t i = 0; i < the.victim_count; i++)
		if (the.victims[i].suspended != 0 && the.victims[i].resume_ns < until_ns)
			until_ns = the.victims[i].resume_ns;
	return until_ns;
}

/* Until no client is left. */
static void serve(void)
{
	while (!the.stopping || !all_gone()) {
		struct capos_message message;
		uint64_t tag;
		int64_t got = capos_endpoint_receive(the.endpoint, &message, &tag, next_look_ns());

		if (got == CAPOS_RECEIVE_RESULT_CALL) {
			hear(tag, &message);
			(void)capos_endpoint_reply(&message, 0);
		} else if (got == CAPOS_RECEIVE_RESULT_FACET_GONE) {
			client_gone(tag);
		} else if (got < 0 && got != CAPOS_E(TIMED_OUT) && got != CAPOS_E(INTERRUPTED)) {
			fail("receive: %s", capos_error_name(got));
		}
		look_after_all();
	}
}

/* ---- the start ---- */

static bool begins(const char *text, const char *beginning, const char **rest)
{
	size_t length = strlen(beginning);

	*rest = text + length;
	return strncmp(text, beginning, length) == 0;
}

static void read_only(const char *text)
{
	char *end = (char *)text;

	while (*end != '\0' && the.only_count < ONLY_MAX) {
		the.only[the.only_count++] = (uint32_t)strtoul(end, &end, 10);
		if (*end == ',')
			end++;
	}
}

static void add_victim(const char *name)
{
	char agents[48];
	struct victim *victim = &the.victims[the.victim_count++];

	if (the.victim_count > VICTIMS_MAX)
		fail("more than %d services", VICTIMS_MAX);
	snprintf(agents, sizeof(agents), "agents-%s", name);
	victim->name = name;
	victim->agents = capos_cap(agents);
}

int main(int argc, char **argv)
{
	const char *value;
	uint64_t seed = 0;

	for (int i = 1; i < argc; i++)
		if (begins(argv[i], "seed=", &value))
			seed = strtoull(value, NULL, 0);
		else if (begins(argv[i], "faults=", &value))
			the.wanted = (uint32_t)strtoul(value, NULL, 0);
		else if (begins(argv[i], "clients=", &value))
			the.clients_wanted = (uint32_t)strtoul(value, NULL, 0);
		else if (begins(argv[i], "only=", &value))
			read_only(value);
		else
			add_victim(argv[i]);
	the.processes = capos_cap("init_processes");
	the.endpoint = capos_cap("faults");
	if (seed == 0 || the.victim_count == 0)
		the.wanted = 0;
	the.random = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
	the.begun_ns = capos_now_ns();
	choose();
	serve();
	if (the.made > 0)
		check_init();
	printf("capos explore: points %" PRIu32 ", interleaving 0x%" PRIx64 ", leaked 0, left 0\n",
		the.made, the.hash);
	return EXIT_SUCCESS;
}
