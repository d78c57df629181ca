/* Waits so often and so shortly that an emulator whose main loop lets time jump while the CPU
 * executes is caught: the time at the end differs from run to run then. docs/seed.md */
#include <capos/time.h>
#include <stdio.h>

#define MOMENTS 50000
#define MOMENT_NS 50000

int main(void)
{
	for (int i = 0; i < MOMENTS; i++)
		capos_sleep_ns(MOMENT_NS);
	printf("%llu ns\n", (unsigned long long)capos_now_ns());
	return 0;
}
