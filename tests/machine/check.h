/* Named checks of a machine test: prints "ok NAME", "FAIL NAME: why" or "skip NAME: why" lines, one
 * per test, and remembers failures for the exit status. A test is a function; RUN calls it; inside
 * it, CHECK, CHECK_EQUAL and CHECK_FAILS (../provoke.h) record the first failure. */
#ifndef CAPOS_MACHINE_CHECK_H
#define CAPOS_MACHINE_CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int check_failures;
static char check_why[200];

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition) && !check_why[0])                                                 \
			snprintf(                                                                  \
				check_why, sizeof check_why, "line %d: %s", __LINE__, #condition); \
	} while (0)

#define CHECK_EQUAL(got, wanted)                                                         \
	do {                                                                             \
		int64_t check_got = (int64_t)(got), check_wanted = (int64_t)(wanted);    \
		if (check_got != check_wanted && !check_why[0])                          \
			snprintf(check_why, sizeof check_why,                            \
				"line %d: %s is %lld, not %lld (%s)", __LINE__, #got,    \
				(long long)check_got, (long long)check_wanted, #wanted); \
	} while (0)

#include "../provoke.h"

#define RUN(test) check_run(#test, test)

__attribute__((unused)) static void check_run(const char *name, void (*test)(void))
{
	check_why[0] = '\0';
	test();
	if (check_why[0]) {
		printf("FAIL %s: %s\n", name, check_why);
		check_failures++;
	} else {
		printf("ok %s\n", name);
	}
}

__attribute__((unused)) static void check_skip(const char *name, const char *why)
{
	printf("skip %s: %s\n", name, why);
}

static inline int check_result(void)
{
	provoked_print();
	return check_failures != 0;
}

#endif
