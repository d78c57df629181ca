/* How a process ended: in words, and as the machine's exit status. */
#ifndef INIT_END_H
#define INIT_END_H

#include <stdbool.h>
#include <stddef.h>

#include <capos/abi.h>

/* Writes the words, "ended with status 1" for instance. asked: it was to end, so an end without a
 * failure is "stopped". */
void end_text(const struct capos_process_end *end, bool asked, char *text, size_t size);

/* The program's own status, or 128 and the number that Unix has for what ended it. */
int end_status(const struct capos_process_end *end);

#endif
