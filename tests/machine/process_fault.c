/* Two processes run at once and one faults. The other goes on, and each has its own end. */
// test: status 139
// test: beside stays 7
#include "support.h"

int main(int argc, char **argv)
{
	(void)argv;
	if (argc == 1) {
		capos_sleep_ns(20 * MS_NS);
		*(volatile int *)8 = 1;
	}
	capos_sleep_ns(100 * MS_NS);
	return 7;
}
