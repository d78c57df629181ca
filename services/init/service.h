/* The life of one service: started with exactly what the manifest names, waited for, started again
 * or given up. Each service has a thread of init that waits for its process.
 *
 * One lock (service.c) guards everything in struct service that is not marked as fixed. Functions
 * take it themselves. */
#ifndef INIT_SERVICE_H
#define INIT_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include <capos/call.h>

#include "manifest.h"
#include "spawn.h"

enum service_state {
	SERVICE_IDLE,    /* never started */
	SERVICE_RUNNING, /* has a process */
	SERVICE_PAUSED,  /* has ended and will be started again */
	SERVICE_OVER,    /* has ended for good, or could not be started */
};

struct service {
	const struct capos_manifest_service *entry; /* fixed */
	struct service_events events;               /* fixed once it is started */
	enum service_state state;
	bool started;            /* at least once */
	bool forced;             /* to end, when it was asked and did not */
	bool drains;             /* was started again while the system ends */
	bool ready;              /* has said so, or does not say it and was started */
	uint32_t restarts;       /* one soon after the other */
	uint64_t instances;      /* processes that were started */
	uint64_t ready_instance; /* which of them was the last to say so; likewise */
	uint64_t started_ns;
	capos_cap_t process; /* of SERVICE_RUNNING; 0: it has just ended */
	int status;          /* of SERVICE_OVER, as the machine's exit status */
};

/* Calls look with the lock held: with the service of that name, or NULL where there is none. */
typedef void (*service_look_t)(const struct service *service, void *context);
void service_look(const char *name, service_look_t look, void *context);

/* Before all others, by the thread that calls them. A key of the console ends the system from then
 * on, with the status that a program ended by it has. While the system ends, one more is the end of
 * all grace. */
void services_init(const struct manifest *manifest);

/* Waits until all services that it depends on are ready, starts it and lets a thread wait for it.
 * When something of that fails it is over. */
void service_start(uint32_t index);

/* Waits until a service has ended whose end is the system's, or all have. The machine's exit
 * status. From then on nothing is started. */
int services_wait(void);

/* After that: the name of the service that failed, and whose status that is; NULL: none. */
const char *services_cause(void);

/* Asks what still runs to end, each before those that it depends on, and ends what does not do so
 * in its time. */
void services_stop(void);

#endif
