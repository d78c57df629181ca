/* Endless recursion, on the first thread or on another, with small frames or with one that is
 * larger than the guard. */
#include <stdio.h>
#include <string.h>

#include <capos/capos.h>

static __attribute__((noinline)) int deeper(volatile int *depth)
{
	volatile int here = ++*depth;
	return deeper(depth) + here;
}

static __attribute__((noinline)) int leap(size_t size)
{
	char large[size];
	__asm__ volatile("" : : "r"(large) : "memory"); /* all of it may be used */
	return large[0] + large[size - 1];
}

static int64_t overflow(void *argument)
{
	volatile int depth = 0;
	if (strcmp(argument, "large") == 0)
		return leap(64 << 20);
	return deeper(&depth);
}

int main(int argc, char **argv)
{
	struct capos_thread *thread;
	if (argc != 3)
		return 3;
	if (strcmp(argv[1], "first") == 0)
		return (int)overflow(argv[2]);
	if (capos_thread_start(&thread, overflow, argv[2], NULL) < 0)
		return 4;
	return (int)capos_thread_join(thread, NULL);
}
