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

enum service_state {
	SERVICE_IDLE,    /* never started */
	SERVICE_RUNNING, /* has a process */
	SERVICE_PAUSED,  /* has ended and will be started again */
	SERVICE_OVER,    /* has ended for good, or could not be started */
};

struct service {
	const struct capos_manifest_service *entry; /* fixed */
	capos_cap_t ready_event;                    /* fixed once it is started; 0: it has none */
	enum service_state state;
	bool started;      /* at least once */
	bool ready;        /* has said so, or does not say it and was started */
	uint32_t restarts; /* one soon after the other */
	uint64_t started_ns;
	capos_cap_t process; /* of SERVICE_RUNNING */
	int status;          /* of SERVICE_OVER, as the machine's exit status */
};

/* Before all others. */
void services_init(const struct manifest *manifest);

/* Waits until all services that it depends on are ready, starts it and lets a thread wait for it.
 * When something of that fails it is over. */
void service_start(uint32_t index);

/* Waits until a service has ended whose end is the system's, or all have. The machine's exit
 * status. From then on nothing is started. */
int services_wait(void);

/* Ends what still runs, each before those that it depends on. */
void services_stop(void);

#endif
