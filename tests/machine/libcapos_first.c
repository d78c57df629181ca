/* The first thread ends before the process does, and another joins it. */
#include <stdio.h>

#include <capos/capos.h>

static int64_t join_first(void *first)
{
	int64_t result = 0, status = capos_thread_join(first, &result);

	if (status == 0 && result == 7)
		printf("ok first thread joined\n");
	else
		printf("FAIL first thread joined: status %d, result %d\n", (int)status,
			(int)result);
	fflush(stdout);
	capos_exit(status != 0 || result != 7, CAPOS_EXIT_SCOPE_PROCESS);
}

int main(void)
{
	struct capos_thread *thread;

	if (capos_thread_start(&thread, join_first, capos_thread_self(), NULL) < 0)
		return 2;
	capos_thread_exit(7);
}
