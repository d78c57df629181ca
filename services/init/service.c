/* Lives of services: see service.h. */
#include "service.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <capos/caps.h>
#include <capos/stubs.h>
#include <capos/thread.h>
#include <capos/time.h>

#include "budgets.h"
#include "end.h"
#include "endpoints.h"
#include "keys.h"
#include "log.h"
#include "spawn.h"
#include "streams.h"

#define NS_PER_MS 1000000ull
#define DRAIN_MS 20
#define STACK_BYTES (16 * 1024)
#define STATUS_NOT_STARTED 126 /* of ./capos run for what cannot be started */

/* Bits of the event of a service that says when it is ready. */
#define BIT_READY 1ull
#define BIT_OVER 2ull /* init's own: so that nothing waits for a service that is over */

/* The bit of the event by which a service says that it runs. */
#define BIT_BEAT 1ull

static const struct manifest *manifest;
static struct service services[CAPOS_MANIFEST_SERVICES_MAX];

static struct capos_mutex lock = CAPOS_MUTEX_INITIALIZER;
static volatile uint32_t changes; /* counts changes of a state and of stopping, and keys */
static bool stopping;
static bool hurried;                 /* while stopping: nothing is asked any more */
static int exit_status;              /* of stopping */
static const struct service *cause;  /* whose status that is; NULL: no service's */
static const struct service *failed; /* the first that has ended for good with a failure */

void services_init(const struct manifest *opened)
{
	manifest = opened;
	keys_handle(&changes);
	endpoints_init(opened);
	streams_init(opened);
	for (uint32_t i = 0; i < manifest->service_count; i++)
		services[i].entry = &manifest->services[i];
}

static const char *name_of(const struct service *service)
{
	return (const char *)service->entry->name;
}

#define note(service, kind, code) log_event(name_of(service), CAPOS_INIT_EVENT_KIND_##kind, code)

static bool has(const struct service *service, uint32_t flag)
{
	return (service->entry->flags & flag) != 0;
}

/* ---- with the lock held ---- */

static void announce(void)
{
	__atomic_add_fetch(&changes, 1, __ATOMIC_RELAXED);
	capos_unpark(&changes, UINT32_MAX);
}

/* Waits while the number of changes is this, and leaves the lock meanwhile. False when the deadline
 * came first. */
static bool wait_change_since(uint32_t before, uint64_t deadline_ns)
{
	capos_mutex_unlock(&lock);
	int64_t result = capos_park(&changes, before, deadline_ns);
	capos_mutex_lock(&lock);
	return result != CAPOS_PARK_RESULT_TIMED_OUT;
}

static void set_state(struct service *service, enum service_state state)
{
	service->state = state;
	announce();
}

/* Lets nothing wait for a service to be ready. */
static void signal_over(const struct service *service)
{
	if (service->events.ready != 0)
		capos_event_signal(service->events.ready, BIT_OVER);
}

/* From now on nothing is started. */
static void begin_stop(int status, const struct service *because)
{
	stopping = true;
	exit_status = status;
	cause = status != 0 ? because : NULL;
	announce(); /* those that pause */
	for (uint32_t i = 0; i < manifest->service_count; i++)
		signal_over(&services[i]);
}

static bool take_key(void)
{
	struct capos_process_end end = { .kind = CAPOS_EXIT_KIND_KILLED };
	uint32_t kind = keys_take();
	char text[128];

	if (kind != 0 && stopping) {
		hurried = true;
	} else if (kind != 0) {
		end.code = (int32_t)kind;
		end_text(&end, false, text, sizeof(text));
		log_line("the system %s", text);
		begin_stop(end_status(&end), NULL);
	}
	return kind != 0;
}

/* The wait of the thread that handles keys: also for a key. One that comes after the number was
 * read changes it. */
static bool wait_change(uint64_t deadline_ns)
{
	uint32_t before = __atomic_load_n(&changes, __ATOMIC_SEQ_CST);

	return take_key() || wait_change_since(before, deadline_ns);
}

/* A service has ended for good. That may be the end of the system. */
static void set_over(struct service *service, int status)
{
	service->status = status;
	set_state(service, SERVICE_OVER);
	endpoints_server_ended((uint32_t)(service - services), false);
	streams_service_over((uint32_t)(service - services));
	signal_over(service);
	if (!stopping && status != 0 && failed == NULL)
		failed = service;
	if (!stopping &&
		(has(service, CAPOS_MANIFEST_FOREGROUND) ||
			(has(service, CAPOS_MANIFEST_ESSENTIAL) && status != 0)))
		begin_stop(status, service);
}

/* A client that starts when its server is over for good has a facet of an endpoint that was made
 * for it. Its calls are to end, not to wait. */
static void close_unserved(void)
{
	for (uint32_t i = 0; i < manifest->endpoint_count; i++) {
		uint32_t server = manifest->endpoints[i].server;

		if (services[server].state == SERVICE_OVER)
			endpoints_server_ended(server, false);
	}
}

/* Makes an event that the service is to have, once for all its processes. */
static int64_t make_event(bool wanted, capos_cap_t *event)
{
	if (!wanted || *event != 0)
		return 0;
	return capos_event_factory_create(capos_caps.event_factory, event);
}

static bool beats(const struct service *service)
{
	uint64_t bits;

	return capos_event_wait(service->events.heartbeat, BIT_BEAT, 0, &bits) == 0;
}

/* A process of the service says that it is ready, or does not say it and was started. */
static void set_ready(struct service *service, uint64_t instance)
{
	service->ready = true;
	service->ready_instance = instance;
}

/* Whether it has said so, which is taken note of once. */
static bool says_ready(const struct service *service)
{
	uint64_t bits;

	return capos_event_wait(service->events.ready, BIT_READY, 0, &bits) == 0;
}

/* Starts a process for the service. */
static int64_t run(struct service *service)
{
	const char *what = "an event";
	struct service_events *events = &service->events;
	int64_t status = make_event(has(service, CAPOS_MANIFEST_SIGNALS_READY), &events->ready);

	if (status == 0)
		status = make_event(service->entry->heartbeat_ms != 0, &events->heartbeat);
	if (status == 0 && events->heartbeat != 0)
		(void)beats(service); /* what the process before has left */
	if (status == 0 && events->ready != 0)
		(void)says_ready(service);
	if (status == 0)
		status = spawn_service(manifest, service->entry, events, &service->process, &what);
	close_unserved();
	if (status < 0) {
		log_line("%s: not started: %s: %s", name_of(service), what,
			capos_error_name(status));
		budgets_tell_not_started(service->entry, status);
		note(service, REFUSED, (int32_t)status);
		return status;
	}
	service->started_ns = capos_now_ns();
	service->instances++;
	service->started = true;
	if (!has(service, CAPOS_MANIFEST_SIGNALS_READY))
		set_ready(service, service->instances);
	log_line("%s: started", name_of(service));
	note(service, STARTED, 0);
	set_state(service, SERVICE_RUNNING);
	return 0;
}

/* The delay before the next restart, of which there has been one at least. */
static uint64_t delay_ms(const struct service *service)
{
	uint64_t delay = service->entry->delay_ms;

	for (uint32_t i = 1; i < service->restarts && delay < service->entry->delay_max_ms; i++)
		delay *= 2;
	return delay < service->entry->delay_max_ms ? delay : service->entry->delay_max_ms;
}

/* While the system ends nothing is started again but what writes to the console: the pipes have
 * what the others wrote last. */
static bool restarts_to_drain(const struct service *service, bool failed)
{
	return failed && has(service, CAPOS_MANIFEST_CONSOLE) && !hurried && !service->forced &&
		service->restarts < service->entry->restart_limit;
}

/* Whether a service that has ended is to be started again, which is logged. text says how it
 * ended. */
static bool wants_restart(struct service *service, bool failed, const char *text)
{
	const struct capos_manifest_service *entry = service->entry;
	uint64_t lived_ns = capos_now_ns() - service->started_ns;

	if (stopping && restarts_to_drain(service, failed)) {
		service->restarts++;
		service->drains = true;
		log_line("%s: %s; started again for what is left", name_of(service), text);
		note(service, RESTARTING, (int32_t)service->restarts);
		return true;
	}
	if (stopping) {
		log_line("%s: %s", name_of(service), text);
		return false;
	}
	if (entry->restart == CAPOS_MANIFEST_RESTART_NEVER ||
		(entry->restart == CAPOS_MANIFEST_RESTART_ON_FAILURE && !failed)) {
		log_line("%s: %s", name_of(service), text);
		return false;
	}
	if (service->started && lived_ns >= entry->steady_ms * NS_PER_MS)
		service->restarts = 0;
	if (service->restarts >= entry->restart_limit) {
		log_line("%s: %s; given up after %" PRIu32 " restart%s", name_of(service), text,
			service->restarts, service->restarts == 1 ? "" : "s");
		note(service, GAVE_UP, (int32_t)service->restarts);
		return false;
	}
	service->restarts++;
	log_line("%s: %s; restart %" PRIu32 " of %" PRIu32 " in %" PRIu64 " ms", name_of(service),
		text, service->restarts, entry->restart_limit, delay_ms(service));
	note(service, RESTARTING, (int32_t)service->restarts);
	return true;
}

/* Waits for the time of the next start. False when the system ends first. */
static bool pause(struct service *service)
{
	uint64_t until_ns = capos_deadline_ns(delay_ms(service) * NS_PER_MS);

	set_state(service, SERVICE_PAUSED);
	endpoints_server_ended((uint32_t)(service - services), true);
	while (!stopping && wait_change_since(changes, until_ns))
		;
	return !stopping || restarts_to_drain(service, true);
}

/* ---- the thread of a service ---- */

/* A heartbeat is missing, which is a failure unless the service is just asked to end. */
static void end_silent(struct service *service, capos_cap_t process)
{
	capos_mutex_lock(&lock);
	if (!stopping) {
		log_line("%s: no heartbeat in %" PRIu32 " ms", name_of(service),
			service->entry->heartbeat_ms);
		note(service, SILENT, 0);
		capos_process_kill(process);
	}
	capos_mutex_unlock(&lock);
}

/* Waits for the end of the process, and meanwhile looks once in each period whether its heart has
 * beaten. */
static int64_t await_end(
	struct service *service, capos_cap_t process, struct capos_process_end *end)
{
	bool watched = service->events.heartbeat != 0;
	int64_t status;

	for (;;) {
		uint64_t period_ns =
			watched ? service->entry->heartbeat_ms * NS_PER_MS : CAPOS_WAIT_FOREVER;
		do
			status = capos_process_wait(process, period_ns, end, sizeof(*end));
		while (status == CAPOS_E(INTERRUPTED));
		if (status != CAPOS_E(TIMED_OUT))
			return status;
		if (!beats(service)) {
			end_silent(service, process);
			watched = false;
		}
	}
}

/* Runs the process to its end, or finds that there is none. */
static void live(struct service *service, struct capos_process_end *end)
{
	*end = (struct capos_process_end){ .kind = CAPOS_EXIT_KIND_NOT_STARTED };
	if (run(service) < 0)
		return;
	capos_cap_t process = service->process;
	capos_mutex_unlock(&lock);
	int64_t status = await_end(service, process, end);
	capos_mutex_lock(&lock);
	if (status >= 0 && end_status(end) != 0)
		budgets_tell_refused(service->entry, process);
	capos_release(process);
	service->process = 0;
	if (status < 0) { /* it is not known how it ended */
		log_line("%s: %s", name_of(service), capos_error_name(status));
		end->kind = CAPOS_EXIT_KIND_NOT_STARTED;
	}
}

static int64_t serve(void *argument)
{
	struct service *service = argument;
	struct capos_process_end end;
	char text[128];
	int status = STATUS_NOT_STARTED;
	bool again;

	capos_mutex_lock(&lock);
	do {
		live(service, &end);
		if (end.kind == CAPOS_EXIT_KIND_NOT_STARTED) {
			snprintf(text, sizeof(text), "not started");
			status = STATUS_NOT_STARTED;
		} else {
			end_text(&end, stopping, text, sizeof(text));
			status = end_status(&end);
			note(service, ENDED, status);
		}
		again = wants_restart(service, status != 0, text) && pause(service);
	} while (again);
	set_over(service, status);
	capos_mutex_unlock(&lock);
	return 0;
}

/* ---- looking ---- */

void service_look(const char *name, service_look_t look, void *context)
{
	struct service *found = NULL;

	capos_mutex_lock(&lock);
	for (uint32_t i = 0; i < manifest->service_count; i++)
		if (strcmp(name_of(&services[i]), name) == 0)
			found = &services[i];
	if (found != NULL && found->events.ready != 0 && says_ready(found))
		set_ready(found, found->instances);
	look(found, context);
	capos_mutex_unlock(&lock);
}

/* ---- starting ---- */

/* Waits for a service to be ready; the lock is held, and left meanwhile. */
static bool is_ready(struct service *service)
{
	uint64_t deadline_ns = capos_deadline_ns(service->entry->ready_ms * NS_PER_MS);
	uint64_t bits = 0, instance;
	int64_t status = 0;

	while (!stopping && !service->started && service->state != SERVICE_OVER &&
		wait_change(deadline_ns))
		;
	if (!service->started || service->ready)
		return service->started;
	if (service->state == SERVICE_OVER)
		deadline_ns = 0; /* what it has said is all there is */
	keys_signal(service->events.ready, BIT_OVER);
	instance = service->instances;
	(void)take_key(); /* that came before; its signal comes from begin_stop */
	capos_mutex_unlock(&lock);
	do
		status = capos_event_wait(
			service->events.ready, BIT_READY | BIT_OVER, deadline_ns, &bits);
	while (status == CAPOS_E(INTERRUPTED));
	capos_mutex_lock(&lock);
	keys_signal(0, 0);
	if (status == 0 && bits & BIT_READY) {
		set_ready(service, instance);
		log_line("%s: ready", name_of(service));
		note(service, READY, 0);
	}
	return service->ready;
}

static void refuse(const struct service *service, const struct service *other)
{
	log_line("%s: not started: %s is not ready", name_of(service), name_of(other));
	note(service, REFUSED, 0);
}

/* The lock is held. */
static bool dependencies_ready(struct service *service)
{
	const struct capos_manifest_service *entry = service->entry;

	for (uint32_t i = 0; i < entry->dependency_count; i++) {
		struct service *other =
			&services[manifest->dependencies[entry->first_dependency + i]];
		if (!is_ready(other)) {
			if (!stopping)
				refuse(service, other);
			return false;
		}
	}
	return !stopping;
}

void service_start(uint32_t index)
{
	static const struct capos_thread_options options = { .stack_size_bytes = STACK_BYTES,
		.name = "service" };
	struct service *service = &services[index];
	struct capos_thread *thread;

	capos_mutex_lock(&lock);
	if (stopping || !dependencies_ready(service)) {
		set_over(service, STATUS_NOT_STARTED);
	} else {
		capos_mutex_unlock(&lock);
		int64_t status = capos_thread_start(&thread, serve, service, &options);
		if (status == 0)
			(void)capos_thread_detach(thread); /* its stack stays if that fails */
		capos_mutex_lock(&lock);
		if (status < 0) {
			log_line("%s: not started: %s", name_of(service), capos_error_name(status));
			note(service, REFUSED, (int32_t)status);
			set_over(service, STATUS_NOT_STARTED);
		}
		while (service->state == SERVICE_IDLE)
			wait_change(CAPOS_WAIT_FOREVER);
	}
	capos_mutex_unlock(&lock);
}

/* ---- the end ---- */

static bool all_over(void)
{
	for (uint32_t i = 0; i < manifest->service_count; i++)
		if (services[i].state != SERVICE_OVER && !has(&services[i], CAPOS_MANIFEST_CONSOLE))
			return false;
	return true;
}

int services_wait(void)
{
	capos_mutex_lock(&lock);
	while (!stopping && !all_over())
		wait_change(CAPOS_WAIT_FOREVER);
	if (!stopping)
		begin_stop(failed != NULL ? failed->status : 0, failed);
	capos_mutex_unlock(&lock);
	return exit_status;
}

const char *services_cause(void)
{
	return cause != NULL ? name_of(cause) : NULL;
}

/* Whether the process has not ended yet, as far as its thread has noticed. */
static bool runs_as(const struct service *service, capos_cap_t process)
{
	return service->state == SERVICE_RUNNING && process != 0 && service->process == process;
}

/* A process that has just begun may have no handler yet, and would end when it is asked to. If it
 * takes longer it is started once more. */
static void let_drain(const struct service *service)
{
	capos_cap_t process = service->process;
	uint64_t until_ns = capos_deadline_ns(DRAIN_MS * NS_PER_MS);

	while (runs_as(service, process) && !hurried && wait_change(until_ns))
		;
}

/* Asks a service to end, and ends it when it does not. The lock is held. */
static void stop(struct service *service)
{
	uint32_t stop_ms = service->entry->stop_ms;
	capos_cap_t process = service->process;
	uint64_t until_ns;

	if (service->drains)
		let_drain(service);
	until_ns = capos_deadline_ns(stop_ms * NS_PER_MS);
	if (stop_ms > 0 && !hurried && runs_as(service, process)) {
		note(service, ASKED, 0);
		capos_process_notify(process, CAPOS_NOTIFICATION_KIND_TERMINATE);
		while (runs_as(service, process) && !hurried && wait_change(until_ns))
			;
		if (runs_as(service, process) && !hurried)
			log_line("%s: has not ended in %" PRIu32 " ms", name_of(service), stop_ms);
	}
	if (runs_as(service, process)) {
		note(service, FORCED, 0);
		service->forced = true;
		capos_process_kill(process);
	}
}

void services_stop(void)
{
	capos_mutex_lock(&lock);
	for (uint32_t i = manifest->service_count; i-- > 0;) {
		struct service *service = &services[i];
		capos_cap_t stopped = 0;

		while (service->state != SERVICE_OVER && service->state != SERVICE_IDLE) {
			if (service->process != stopped && runs_as(service, service->process)) {
				stopped = service->process;
				stop(service);
			} else {
				wait_change(CAPOS_WAIT_FOREVER);
			}
		}
	}
	capos_mutex_unlock(&lock);
}
