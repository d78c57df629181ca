/* A request that uses its session under the lock. */
#include <stdio.h>
#include <stdlib.h>

#include <capos/thread.h>

struct counter {
	long count;
};

struct session {
	struct counter *counter;
};

static struct capos_mutex lock; /* of current */
static struct session *current;

static int64_t request(void *argument)
{
	struct session *session;

	(void)argument;
	capos_mutex_lock(&lock);
	session = current;
	if (session != NULL)
		session->counter->count++;
	capos_mutex_unlock(&lock);
	return 0;
}

int main(void)
{
	static struct counter counter;
	struct session *session = malloc(sizeof *session);
	struct capos_thread *thread;

	if (session == NULL)
		return 2;
	session->counter = &counter;
	current = session;
	if (capos_thread_start(&thread, request, NULL, NULL) < 0)
		return 2;
	capos_mutex_lock(&lock);
	current = NULL;
	capos_mutex_unlock(&lock);
	free(session);
	if (capos_thread_join(thread, NULL) < 0)
		return 2;
	printf("%ld\n", counter.count);
	return 0;
}
