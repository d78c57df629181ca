/* How a process ended: in words, and as the machine's exit status. */
#ifndef INIT_END_H
#define INIT_END_H

#include <stddef.h>

#include <capos/abi.h>

/* Writes the words, "ended with status 1" for instance. */
void end_text(const struct capos_process_end *end, char *text, size_t size);

/* The program's own status, or 128 and the number that Unix has for what ended it. */
int end_status(const struct capos_process_end *end);

#endif
