/* Declarations that the files of libcapos share. */
#ifndef LIBCAPOS_INTERNAL_H
#define LIBCAPOS_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <capos/call.h>
#include <capos/endpoint.h>
#include <capos/grants.h>

#ifdef CAPOS_EXPLORE
void capos_explore_point(void);
#endif

/* The ring of the calling thread. Set before any other code of the thread runs. */
extern _Thread_local struct capos_ring_header *thread_ring;

/* Where the next submission goes; NULL: the ring is full. */
static inline struct capos_submission *capos_ring_slot(void)
{
	struct capos_ring_header *ring = thread_ring;
	uint32_t tail = ring->submission_tail;

	if (tail - ring->submission_head >= CAPOS_RING_SUBMISSIONS)
		return NULL;
	return &capos_ring_submissions(ring)[tail % CAPOS_RING_SUBMISSIONS];
}
/* Enters the kernel, which has taken all submissions then. Or an error, and the last one is not in
 * the ring any more. */
int64_t capos_ring_send(uint64_t min_complete, uint64_t timeout_ns);
/* Puts one operation into the ring and sends it. */
int64_t capos_ring_submit(const struct capos_submission *submission);
/* There is room for a submission, and only calls of the library's are before it. Else CAPOS_E(BUSY)
 * or an error of capos_ring_send. */
int64_t capos_ring_call_make_room(void);
/* The completion is of a call that was outstanding, and that has ended by this; NULL: it is not. */
struct capos_ring_call;
struct capos_ring_call *capos_ring_call_ended(const struct capos_completion *completion);

/* The capability of that name; 0: none, which is no denial. Needs the CapSet. */
capos_cap_t grant_cap(const char *name);

/* Looks up every capability by its name. Generated in stubs.c; needs the CapSet. */
void caps_find(struct capos_caps *caps);

/* The names of the grants, by number. Generated in stubs.c. */
extern const char *const grant_names[CAPOS_GRANT_COUNT];

/* A call was to be made with no capability, of the grant with that number, or of what a service has
 * by another name: the one that capos_cap did not find last. Says so on standard error, once for
 * each, and what the manifest has to say. Gives the call's error. denied.c; safe in handlers. */
#define GRANT_USED (-1)
#define GRANT_SERVED (-2)
int64_t grant_missing(int grant);
/* capos_cap has not found the name. */
void grant_not_found(const char *name);

/* Frees the handler's stack with its thread. */
void notification_free_stack(void);
bool notification_on_stack(void);

/* The stack of the first thread. Below this address it is not in use once main has been left. */
extern uint64_t first_stack_top;

/* The value that guards the stacks of all threads, and where a thread's is. */
extern uint64_t __stack_chk_guard;
void capos_set_stack_guard(uint64_t thread_pointer, uint64_t guard);

/* An operation on an endpoint: what RAX and RDI have after it. The message is read before and
 * written after. */
struct endpoint_result {
	int64_t result;
	uint64_t tag;
};
struct endpoint_result capos_endpoint_enter(uint64_t target, struct capos_message *message,
	uint64_t deadline_ns, uint64_t operation, uint64_t status);

/* In the libraries of ./capos explore a call that does nothing, so that the kernel may have the
 * thread wait here. */
static inline void explore_point(void)
{
#ifdef CAPOS_EXPLORE
	capos_explore_point();
#endif
}

static inline uint64_t round_up(uint64_t value, uint64_t multiple)
{
	return (value + multiple - 1) & ~(multiple - 1);
}

#endif
