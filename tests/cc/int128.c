/* 128-bit arithmetic that compilers leave to their runtime library. */
#include <stdio.h>

int main(int argc, char **argv)
{
	(void)argv;
	unsigned __int128 big = (unsigned __int128)0x123456789abcdef0 << 64 | (unsigned)argc;
	__int128 negative = -(__int128)big;
	printf("%llx %llx\n", (unsigned long long)(big / 1000003),
		(unsigned long long)(big % 1000003));
	printf("%lld %.0f\n", (long long)(negative % 1000000007), (double)big);
	return 0;
}
