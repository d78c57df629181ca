/* The kernel's own symbol table, made by the second link pass. */
#ifndef CAPOS_CORE_SYMBOLS_H
#define CAPOS_CORE_SYMBOLS_H

#include <stdbool.h>
#include <stdint.h>

/* The function around the address and the offset into it; NULL when there is none. */
const char *symbol_lookup(uint64_t address, uint64_t *offset);

/* Panic pieces shared with trap reports. rip: where this CPU was, for the report of another that
 * was first. */
void panic_begin(uint64_t rip);
_Noreturn void panic_end(void);
void backtrace_print(uint64_t rip, uint64_t rbp);
/* Another CPU's panic stops this one. */
bool panic_begun(void);
_Noreturn void panic_stop_cpu(uint64_t rip);

#endif
