/* Clients and servers of a user's interface, on which the headers of ./capos schema stand.
 * docs/c-services.md is the guide. Not for notification handlers. */
#ifndef CAPOS_SERVICE_H
#define CAPOS_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <capos/endpoint.h>
#include <capos/schema.h>
#include <capos/thread.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- tables, which are generated ---- */

struct capos_method {
	uint16_t ordinal;
	bool in_registers; /* parameters and results have 64 bytes, and one capability at most */
	uint8_t results_carry; /* the most capabilities */
	uint16_t result_words; /* the most; 0: there is no bound */
	const struct capos_struct_type *params, *results;
};

#define CAPOS_ANSWER_SPARE 256 /* bytes, for fields that newer servers have */

struct capos_call;

struct capos_interface {
	uint64_t id;
	const char *name;
	uint16_t method_count;
	bool in_registers; /* all methods */
	bool carries;      /* parameters have capabilities */
	const struct capos_method *methods;
	/* Calls that of the functions which implements a method: 0 or a CAPOS_ERROR_x. */
	uint32_t (*dispatch)(const void *methods, struct capos_call *call, uint16_t ordinal,
		const void *params, void *results);
};

/* ---- calling ---- */

/* One for each thread that calls. What results point to is in it, and stays until its next call. */
struct capos_client {
	capos_cap_t facet;
	uint64_t deadline_ns; /* of the monotonic clock, for each call; 0: none */
	bool moves;           /* capabilities in parameters are given away, and else copied */
	/* The most bytes of an answer. 0: what the method's results may have, and
	 * CAPOS_ANSWER_SPARE; or CAPOS_MESSAGE_BYTES_MAX where they have Text, Data or lists. */
	uint32_t answer_size;

	/* The library's. */
	uint64_t *message;
	struct capos_memory memory;
};

/* Calls a method. 0, or an error: of the opcode endpointCall, or the server's; what *results is
 * then has no meaning. CAPOS_E(MALFORMED_MESSAGE) also says that the answer makes no sense,
 * CAPOS_E(OUT_OF_RANGE) that the parameters are too long. Capabilities in the results are the
 * caller's to release. */
int64_t capos_client_call(struct capos_client *client, uint64_t interface,
	const struct capos_method *method, const void *params, void *results);

/* Frees its memory. The facet stays. */
void capos_client_free(struct capos_client *client);

/* ---- serving ---- */

/* A call while a method runs, on the thread that has received it. */
struct capos_call {
	uint64_t tag;  /* of the facet that was called */
	void *context; /* of the object */

	/* The library's. */
	struct capos_memory memory;
	struct capos_carried came;
	uint32_t kept, copy_count;
	capos_cap_t copies[CAPOS_MESSAGE_CAPS_MAX];
};

/* Zeroed memory for results, until the call is answered. NULL: there is no more. */
static inline void *capos_call_take(struct capos_call *call, size_t size)
{
	return capos_memory_take(&call->memory, size);
}

/* Keeps a capability of the parameters, which is the server's then. Others are released when the
 * method returns. The capability. */
capos_cap_t capos_call_keep(struct capos_call *call, capos_cap_t cap);

/* Lets a copy of a capability in the results go. Others are given away, and are released if the
 * caller cannot have them. The capability. */
capos_cap_t capos_call_copy(struct capos_call *call, capos_cap_t cap);

/* What is called: an interface, a generated structure of its methods, and what they work on. */
struct capos_object {
	const struct capos_interface *interface;
	const void *methods;
	void *context;
};

#define CAPOS_SERVE_THREADS_MAX 64
#define CAPOS_SERVE_TAG UINT64_MAX /* of facets by which capos_serve ends its threads */

struct capos_service {
	capos_cap_t endpoint;
	unsigned threads; /* that receive; 0: 1. Methods run in parallel then */
	struct capos_object object;

	/* If not NULL: the object of a tag, instead of the above; NULL: the caller gets notFound.
	 */
	const struct capos_object *(*find)(void *context, uint64_t tag);
	/* Tells of a facet that has no holder any more; false: the service ends. NULL: it ends. */
	bool (*facet_gone)(void *context, uint64_t tag);
	void *context; /* of both */

	/* The library's; zero at first. */
	struct capos_mutex lock;
	bool stopping;
	unsigned wake_count;
	capos_cap_t wakes[CAPOS_SERVE_THREADS_MAX];
	int64_t status;
};

/* Receives calls and has them answered, until a facet has no holder any more or capos_service_stop
 * is called: 0; or an error, as CAPOS_E(DISCONNECTED) when the endpoint is gone. It returns when
 * the last thread is done with its call. An unknown interface or method is answered unimplemented,
 * and a message that makes no sense malformedMessage. If parameters have capabilities the endpoint
 * accepts them from now on; calls made before are refused unless its maker had it accept them. A
 * service is served once. */
int64_t capos_serve(struct capos_service *service);

/* Ends capos_serve, from any thread, also before it has begun. It does not wait. */
void capos_service_stop(struct capos_service *service);

#ifdef __cplusplus
}
#endif

#endif
