/* What the code of C++ calls by itself: destructors of static objects, local statics, memory, a
 * call of a pure virtual function (Itanium C++ ABI, 3.3, 3.2.6; mangled names of operator new and
 * delete). There are no exceptions: operator new ends the program when there is no memory. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <capos/thread.h>

#include "internal.h"

void *__dso_handle;

int __cxa_atexit(void (*function)(void *), void *argument, void *dso)
{
	(void)dso; /* everything is one program */
	return libc_at_exit(function, argument);
}

_Noreturn void __cxa_pure_virtual(void)
{
	fail("a pure virtual function was called");
}

/* A guard's first byte says that the object exists. The rest is used here: whether a thread
 * constructs it. */
struct guard {
	uint8_t made;
	uint8_t busy; /* guarded by guard_lock */
};

static struct capos_mutex guard_lock = CAPOS_MUTEX_INITIALIZER;
static struct capos_cond guard_changed = CAPOS_COND_INITIALIZER;

int __cxa_guard_acquire(struct guard *guard)
{
	capos_mutex_lock(&guard_lock);
	while (guard->busy)
		capos_cond_wait(&guard_changed, &guard_lock);
	int make = !guard->made;
	guard->busy = (uint8_t)make;
	capos_mutex_unlock(&guard_lock);
	return make;
}

static void guard_leave(struct guard *guard, bool made)
{
	capos_mutex_lock(&guard_lock);
	guard->busy = 0;
	__atomic_store_n(&guard->made, made, __ATOMIC_RELEASE);
	capos_cond_broadcast(&guard_changed);
	capos_mutex_unlock(&guard_lock);
}

void __cxa_guard_release(struct guard *guard)
{
	guard_leave(guard, true);
}

void __cxa_guard_abort(struct guard *guard)
{
	guard_leave(guard, false);
}

static void *allocate(size_t size)
{
	void *block = malloc(size != 0 ? size : 1);
	if (block == NULL)
		fail("operator new: out of memory");
	return block;
}

/* operator new(size_t) and new[]; delete and delete[] with and without the size. */
void *_Znwm(size_t size)
{
	return allocate(size);
}

void *_Znam(size_t size)
{
	return allocate(size);
}

void _ZdlPv(void *block)
{
	free(block);
}

void _ZdaPv(void *block)
{
	free(block);
}

void _ZdlPvm(void *block, size_t size)
{
	(void)size;
	free(block);
}

void _ZdaPvm(void *block, size_t size)
{
	(void)size;
	free(block);
}
