/* Page faults, where the architecture hands them over: the space of the current thread gives a page
 * its frame, or the fault is the program's. */
#include "arch/handlers.h"

#include "mm/aspace.h"
#include "sched/thread.h"

void user_page_fault(struct trap_frame *frame, uint64_t address, enum fault_access access)
{
	switch (aspace_fault(thread_current()->space, address, access)) {
	case FAULT_RESOLVED:
		return;
	case FAULT_NOTHING:
		fault_deliver(
			frame, CAPOS_NOTIFICATION_KIND_PAGE_FAULT, CAPOS_FAULT_MAPPING, address);
		return;
	case FAULT_FORBIDDEN:
		fault_deliver(
			frame, CAPOS_NOTIFICATION_KIND_PAGE_FAULT, CAPOS_FAULT_PROTECTION, address);
		return;
	case FAULT_NO_MEMORY:
		fault_deliver(frame, CAPOS_NOTIFICATION_KIND_OUT_OF_MEMORY, 0, address);
	}
}

bool kernel_page_fault(uint64_t address, enum fault_access access)
{
	struct aspace *space = thread_current()->space;

	return space && aspace_fault(space, address, access) == FAULT_RESOLVED;
}
