/* Threads, and waiting for each other.
 *
 * A thread has one reservation: a guard of 64 KiB that is never mapped, its stack (given frames as
 * it grows), its TLS block and its struct capos_thread. Joining the thread frees it; a detached
 * thread frees it itself as its last act. */
#ifndef CAPOS_THREAD_H
#define CAPOS_THREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <capos/call.h>

#ifdef __cplusplus
extern "C" {
#endif

struct capos_thread;

struct capos_thread_options {
	size_t stack_size_bytes; /* 0: 256 KiB */
	const char *name;        /* at most CAPOS_THREAD_NAME_MAX bytes; NULL: none */
	uint64_t mask;           /* notifications masked from the start */
};

/* Starts a thread that runs entry(argument); options may be NULL. 0 or an error. */
int64_t capos_thread_start(struct capos_thread **thread, int64_t (*entry)(void *argument),
	void *argument, const struct capos_thread_options *options);

/* Waits for the thread's end and frees it. *result (may be NULL) is what entry returned or
 * capos_thread_exit was given. */
int64_t capos_thread_join(struct capos_thread *thread, int64_t *result);

/* The same, giving up with timedOut after timeout_ns; the thread can then still be joined. */
int64_t capos_thread_join_timeout(
	struct capos_thread *thread, uint64_t timeout_ns, int64_t *result);

/* Makes the thread free itself at its end; it cannot be joined any more. */
int64_t capos_thread_detach(struct capos_thread *thread);

__attribute__((noreturn)) void capos_thread_exit(int64_t result);

/* The ThreadHandle, for suspend, notify and so on; valid until the thread is joined, or detached
 * and ended. */
capos_cap_t capos_thread_handle(const struct capos_thread *thread);

struct capos_thread *capos_thread_self(void);
uint64_t capos_thread_id(void);
void capos_thread_yield(void);

/* Parking on words of the process's own memory; see capos_park_in. */
int64_t capos_park(const volatile uint32_t *word, uint32_t expected, uint64_t deadline_ns);
int64_t capos_unpark(const volatile uint32_t *word, uint64_t count);

/* A mutual-exclusion lock: one word, and no kernel call unless a thread waits. Not recursive. */
struct capos_mutex {
	uint32_t state; /* 0 free, 1 locked, 2 locked and perhaps waited for */
};
#define CAPOS_MUTEX_INITIALIZER { 0 }

void capos_mutex_lock(struct capos_mutex *mutex);
bool capos_mutex_try_lock(struct capos_mutex *mutex);
void capos_mutex_unlock(struct capos_mutex *mutex);

/* A condition variable. Wakeups may be spurious: wait in a loop around the condition. */
struct capos_cond {
	uint32_t sequence;
};
#define CAPOS_COND_INITIALIZER { 0 }

void capos_cond_wait(struct capos_cond *cond, struct capos_mutex *mutex);
/* False when deadline_ns of the monotonic clock passed first. */
bool capos_cond_wait_until(
	struct capos_cond *cond, struct capos_mutex *mutex, uint64_t deadline_ns);
void capos_cond_signal(struct capos_cond *cond);
void capos_cond_broadcast(struct capos_cond *cond);

#ifdef __cplusplus
}
#endif

#endif
