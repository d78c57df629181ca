/* Mutexes and condition variables over park and unpark. */
#include <capos/thread.h>

#include <capos/caps.h>

#include "internal.h"

enum mutex_state {
	MUTEX_FREE,
	MUTEX_LOCKED,
	MUTEX_CONTENDED, /* locked, and a thread may be parked: unlock must wake one */
};

/* The number of times a lock's word is read before its thread parks, because holders are brief. */
#define SPIN_COUNT 40

int64_t capos_park(const volatile uint32_t *word, uint32_t expected, uint64_t deadline_ns)
{
	if (capos_caps.park == 0)
		return grant_missing(CAPOS_GRANT_PARK);
	explore_point();
	return capos_park_in(capos_caps.park, word, expected, deadline_ns);
}

int64_t capos_unpark(const volatile uint32_t *word, uint64_t count)
{
	explore_point();
	return capos_unpark_in(capos_caps.park, word, count);
}

bool capos_mutex_try_lock(struct capos_mutex *mutex)
{
	uint32_t expected = MUTEX_FREE;

	explore_point();
	return __atomic_compare_exchange_n(
		&mutex->state, &expected, MUTEX_LOCKED, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* Takes the lock as contended, because a thread that slept cannot know whether others still do. */
static void lock_slow(struct capos_mutex *mutex)
{
	while (__atomic_exchange_n(&mutex->state, MUTEX_CONTENDED, __ATOMIC_ACQUIRE) !=
		MUTEX_FREE) {
		/* Any result, even an error, only means that the word must be read again. */
		capos_park(&mutex->state, MUTEX_CONTENDED, CAPOS_WAIT_FOREVER);
	}
}

void capos_mutex_lock(struct capos_mutex *mutex)
{
	if (capos_mutex_try_lock(mutex))
		return;
	for (int i = 0; i < SPIN_COUNT; i++) {
		__builtin_ia32_pause();
		if (__atomic_load_n(&mutex->state, __ATOMIC_RELAXED) == MUTEX_FREE &&
			capos_mutex_try_lock(mutex))
			return;
	}
	lock_slow(mutex);
}

void capos_mutex_unlock(struct capos_mutex *mutex)
{
	explore_point();
	if (__atomic_exchange_n(&mutex->state, MUTEX_FREE, __ATOMIC_RELEASE) == MUTEX_CONTENDED)
		capos_unpark(&mutex->state, 1);
	explore_point();
}

/* The sequence is read with the mutex held and changed by every signal: a signal that comes between
 * unlock and park makes the park a mismatch, so none is lost. */
bool capos_cond_wait_until(struct capos_cond *cond, struct capos_mutex *mutex, uint64_t deadline_ns)
{
	uint32_t sequence = __atomic_load_n(&cond->sequence, __ATOMIC_RELAXED);
	int64_t result;

	capos_mutex_unlock(mutex);
	result = capos_park(&cond->sequence, sequence, deadline_ns);
	lock_slow(mutex);
	return result != CAPOS_PARK_RESULT_TIMED_OUT;
}

void capos_cond_wait(struct capos_cond *cond, struct capos_mutex *mutex)
{
	capos_cond_wait_until(cond, mutex, CAPOS_WAIT_FOREVER);
}

void capos_cond_signal(struct capos_cond *cond)
{
	explore_point();
	__atomic_fetch_add(&cond->sequence, 1, __ATOMIC_RELEASE);
	capos_unpark(&cond->sequence, 1);
}

void capos_cond_broadcast(struct capos_cond *cond)
{
	explore_point();
	__atomic_fetch_add(&cond->sequence, 1, __ATOMIC_RELEASE);
	capos_unpark(&cond->sequence, UINT32_MAX);
}
