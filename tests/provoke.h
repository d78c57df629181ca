/* Errors that the schema lists, provoked by name. A test reports those that it got as lines
 * "provoked NAME ERROR" at its end, and a run of ./capos test fails for errors that no test
 * reports. A check.h of the tests includes this after it has declared check_why. */
#ifndef CAPOS_TESTS_PROVOKE_H
#define CAPOS_TESTS_PROVOKE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <fails.h>

static uint8_t check_provoked[FAILS_COUNT];

/* Whether the call answers the error that the schema lists under these names, as in
 * GETS(CONSOLE_WRITE, NO_RIGHTS, call). One that is not listed does not compile. */
#define GETS(name, error, call) check_gets(FAILS_##name##_##error, (int64_t)(call))

__attribute__((unused)) static bool check_gets(enum fails pair, int64_t got)
{
	bool same = got == fails[pair].status;
	if (same)
		check_provoked[pair] = 1;
	return same;
}

/* The call must answer it. */
#define CHECK_FAILS(name, error, call) \
	check_fails(FAILS_##name##_##error, __LINE__, #call, (int64_t)(call))

__attribute__((unused)) static void check_fails(
	enum fails pair, int line, const char *call, int64_t got)
{
	if (!check_gets(pair, got) && !check_why[0])
		snprintf(check_why, sizeof check_why, "line %d: %s is %lld, not %d (%s)", line,
			call, (long long)got, fails[pair].status, fails[pair].name);
}

/* The same where the error is not known before the test runs: status is what the call must be. */
#define CHECK_FAILS_WITH(name, status, call) \
	check_fails_with(FAILING_##name, status, __LINE__, #call, (int64_t)(call))

__attribute__((unused)) static void check_fails_with(
	enum failing what, int64_t status, int line, const char *call, int64_t got)
{
	int pair = 0;
	while (pair < FAILS_COUNT && (fails[pair].failing != what || fails[pair].status != status))
		pair++;
	if (pair < FAILS_COUNT)
		check_fails((enum fails)pair, line, call, got);
	else if (!check_why[0])
		snprintf(check_why, sizeof check_why, "line %d: %s: %lld is not in the schema",
			line, call, (long long)status);
}

/* At the end of the test. */
__attribute__((unused)) static void provoked_print(void)
{
	for (int pair = 0; pair < FAILS_COUNT; pair++)
		if (check_provoked[pair])
			printf("provoked %s\n", fails[pair].name);
}

#endif
