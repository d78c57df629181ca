/* Named checks for the host tests here and of boot: "ok NAME" or "FAIL NAME: why", and an exit
 * status. */
#ifndef TEST_CALL_CHECK_H
#define TEST_CALL_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#ifndef CHECK_GROUP
#define CHECK_GROUP "call"
#endif

static int check_failures;
static char check_why[256];

#define CHECK(condition)                                                                       \
	do {                                                                                   \
		if (!(condition) && !check_why[0])                                             \
			snprintf(check_why, sizeof check_why, "%s:%d: %s", __FILE__, __LINE__, \
				#condition);                                                   \
	} while (0)

#define RUN(test) check_run(#test, test)

static inline void check_run(const char *name, void (*test)(void))
{
	check_why[0] = '\0';
	test();
	if (check_why[0])
		printf("FAIL " CHECK_GROUP " %s: %s\n", name, check_why);
	else
		printf("ok " CHECK_GROUP " %s\n", name);
	check_failures += check_why[0] != '\0';
}

#endif
