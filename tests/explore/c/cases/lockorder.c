/* Two transfers take the same two locks, each in its own order. */
#include <stdio.h>

#include <capos/thread.h>

struct account {
	struct capos_mutex lock;
	int cents;
};

static struct account accounts[2] = { { .cents = 100 }, { .cents = 100 } };

static void transfer(struct account *from, struct account *to, int cents)
{
	capos_mutex_lock(&from->lock);
	capos_mutex_lock(&to->lock);
	from->cents -= cents;
	to->cents += cents;
	capos_mutex_unlock(&to->lock);
	capos_mutex_unlock(&from->lock);
}

static int64_t back(void *argument)
{
	(void)argument;
	transfer(&accounts[1], &accounts[0], 2);
	return 0;
}

int main(void)
{
	struct capos_thread *thread;

	if (capos_thread_start(&thread, back, NULL, NULL) < 0)
		return 2;
	transfer(&accounts[0], &accounts[1], 1);
	if (capos_thread_join(thread, NULL) < 0)
		return 2;
	printf("%d %d\n", accounts[0].cents, accounts[1].cents);
	return 0;
}
