/* With -fstack-protector-all: threads run as ever, and with an argument a buffer overflows. */
#include <stdio.h>
#include <string.h>

#include <capos/capos.h>

static int64_t ordinary(void *argument)
{
	char text[32];
	snprintf(text, sizeof(text), "%d", *(int *)argument);
	return (int64_t)strlen(text);
}

static __attribute__((noinline)) void overflow(volatile size_t size)
{
	char text[16];
	memset(text, 'x', size);
	__asm__ volatile("" : : "r"(text) : "memory");
}

int main(int argc, char **argv)
{
	(void)argv;
	int number = 12345;
	int64_t length = 0;
	struct capos_thread *thread;
	if (capos_thread_start(&thread, ordinary, &number, NULL) < 0 ||
		capos_thread_join(thread, &length) < 0)
		return 1;
	printf("%d\n", (int)length);
	fflush(stdout);
	if (argc > 1)
		overflow(64);
	return 0;
}
