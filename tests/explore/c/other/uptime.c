/* A program that fails on a machine that has been on for some time, as one has that has run it
 * before. */
#include <stdio.h>

#include <capos/capos.h>
#include <capos/time.h>

#define SECOND_NS 1000000000l

int main(void)
{
	capos_sleep_ns(SECOND_NS);
	if (capos_now_ns() > 4 * SECOND_NS) {
		puts("the machine is old");
		return 1;
	}
	return 0;
}
