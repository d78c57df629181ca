/* With -fsanitize=undefined: an overflow is an illegal instruction. */
#include <stdio.h>

int main(int argc, char **argv)
{
	(void)argv;
	int number = 2147483646;
	number += argc;
	printf("%d\n", number);
	fflush(stdout);
	number += argc;
	printf("not reached: %d\n", number);
	return 0;
}
