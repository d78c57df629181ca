/* A service that does one thing that services may do, which its first argument names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <capos/capos.h>

#define NS_PER_MS 1000000ull

static uint32_t asked; /* a notification has come */

static void note(uint32_t kind, struct capos_thread_state *state)
{
	(void)kind, (void)state;
	__atomic_store_n(&asked, 1, __ATOMIC_SEQ_CST);
}

static void wait_until_asked(void)
{
	while (!__atomic_load_n(&asked, __ATOMIC_SEQ_CST))
		capos_park(&asked, 0, CAPOS_WAIT_FOREVER);
}

/* Ends when it is asked to. */
static int polite(long number)
{
	(void)number;
	capos_notification_set_handler(note);
	wait_until_asked();
	puts("polite: asked");
	return EXIT_SUCCESS;
}

/* Does not end. */
static int stubborn(long number)
{
	(void)number;
	capos_notification_set_handler(note);
	puts("stubborn");
	for (;;)
		capos_sleep_ns(NS_PER_MS);
}

/* Has so many heartbeats, and then hangs. */
static int beat(long number)
{
	for (long i = 0; i < number; i++) {
		capos_event_signal(capos_cap("heartbeat"), 1);
		capos_sleep_ns(10 * NS_PER_MS);
	}
	for (;;)
		;
}

/* Ends with that status after a while. */
static int leave(long number)
{
	capos_sleep_ns(100 * NS_PER_MS);
	return (int)number;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(long number);
	} roles[] = {
		{ "polite", polite },
		{ "stubborn", stubborn },
		{ "beat", beat },
		{ "leave", leave },
	};

	for (size_t i = 0; argc == 3 && i < sizeof(roles) / sizeof(roles[0]); i++)
		if (strcmp(argv[1], roles[i].name) == 0)
			return roles[i].run(strtol(argv[2], NULL, 10));
	return EXIT_FAILURE;
}
