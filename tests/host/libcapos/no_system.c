/* For a test that needs no memory: every request of the heap to the system fails. */
#include <stdlib.h>

#include <capos/caps.h>
#include <capos/thread.h>

struct capos_caps capos_caps;

int64_t capos_virtual_memory_map(
	capos_cap_t cap, uint64_t hint, uint64_t size, uint32_t prot, uint64_t *addr)
{
	(void)cap, (void)hint, (void)size, (void)prot, (void)addr;
	return CAPOS_E(NO_MEMORY);
}

int64_t capos_virtual_memory_unmap(capos_cap_t cap, uint64_t addr, uint64_t size)
{
	(void)cap, (void)addr, (void)size;
	return CAPOS_E(NO_MEMORY);
}

void capos_mutex_lock(struct capos_mutex *mutex)
{
	(void)mutex;
}

void capos_mutex_unlock(struct capos_mutex *mutex)
{
	(void)mutex;
}

uint64_t capos_auxiliary(uint64_t type)
{
	(void)type;
	return 0;
}

void fail(const char *message)
{
	(void)message;
	abort();
}
