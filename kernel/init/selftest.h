/* Deliberate mistakes, to see that the debug kernel notices them. Other kernels do not have them.
 */
#ifndef CAPOS_INIT_SELFTEST_H
#define CAPOS_INIT_SELFTEST_H

#ifdef CAPOS_DEBUG
/* Makes the mistake that a word selftest=NAME of the command line asks for; returns when there is
 * no such word. */
void selftest_run(const char *command_line);
#else
static inline void selftest_run(const char *command_line)
{
	(void)command_line;
}
#endif

#endif
