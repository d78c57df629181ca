/* The kernel's own symbol table, made by the second link pass. Any context. */
#ifndef CAPOS_DEBUG_SYMBOLS_H
#define CAPOS_DEBUG_SYMBOLS_H

#include <stdint.h>

/* The function that holds the address, and the offset in it; NULL when there is none. */
const char *symbol_lookup(uint64_t address, uint64_t *offset);

#endif
