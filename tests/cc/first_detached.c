/* The first thread is detached and ends; its handle goes with it. Another thread ends the process.
 */
#include <stdio.h>
#include <stdlib.h>

#include <capos/capos.h>

static int64_t watch(void *argument)
{
	capos_cap_t handle = *(capos_cap_t *)argument;
	int64_t status;
	do {
		capos_sleep_ns(1000000);
		status = capos_thread_handle_notify(handle, CAPOS_NOTIFY_USER_FIRST, 0);
	} while (status != CAPOS_TRANSPORT_E(INVOKE_FAILED));
	printf("the handle is gone\n");
	exit(0);
}

int main(void)
{
	static capos_cap_t handle;
	struct capos_thread *thread;
	handle = capos_thread_handle(capos_thread_self());
	/* What the other thread sends to find out is not to arrive. */
	if (capos_notification_mask(~(uint64_t)0, 0, NULL) < 0 ||
		capos_thread_detach(capos_thread_self()) < 0 ||
		capos_thread_start(&thread, watch, &handle, NULL) < 0)
		return 1;
	capos_thread_exit(0);
}
