/* Declarations that the files of libc-mini share. */
#ifndef LIBC_MINI_INTERNAL_H
#define LIBC_MINI_INTERNAL_H

#include <stdint.h>

/* Writes all buffered output of stdio. */
void stdio_flush_all(void);

/* Has function(argument) called by exit, in reverse order of registration. 0, or -1 when there is
 * no memory to remember it in. */
int libc_at_exit(void (*function)(void *), void *argument);

/* Prints "program: message" on standard error without using locks or memory, and ends the process
 * with status 134, which is what a shell reports of an abort elsewhere. */
__attribute__((noreturn)) void fail(const char *message);

static inline uint64_t round_up(uint64_t value, uint64_t multiple)
{
	return (value + multiple - 1) & ~(multiple - 1);
}

#endif
