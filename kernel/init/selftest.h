/* Deliberate mistakes, to see that the debug kernel notices them. Other kernels do not have them.
 * Boot.
 */
#ifndef CAPOS_INIT_SELFTEST_H
#define CAPOS_INIT_SELFTEST_H

#ifdef CAPOS_DEBUG
/* Makes the mistake that the kernel parameter selftest=NAME asks for; returns when there is
 * none. */
void selftest_run(const char *command_line);
#else
static inline void selftest_run(const char *command_line)
{
	(void)command_line;
}
#endif

#endif
