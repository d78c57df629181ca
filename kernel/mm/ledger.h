/* The ledger of committed pages: the charge of a process, and its limit. It is an object of its own
 * because a memory object charges its creator for its whole life, which may be longer than the
 * creator's. The last user frees it. All operations are atomic; the machine's own count, of
 * reserved frames, is in mm/frame.h. */
#ifndef CAPOS_MM_LEDGER_H
#define CAPOS_MM_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "capos_kernel/status.h"

struct ledger {
	uint32_t references;
	uint64_t limit; /* pages; 0: none but the machine's. Never changed. */
	uint64_t committed, peak;
};

/* One reference; NULL when memory is short. */
struct ledger *ledger_create(uint64_t limit);
struct ledger *ledger_retain(struct ledger *ledger);
void ledger_release(struct ledger *ledger);

/* Fails and changes nothing when the limit would be exceeded. */
bool ledger_charge(struct ledger *ledger, uint64_t pages) MUST_CHECK;
void ledger_uncharge(struct ledger *ledger, uint64_t pages);

#endif
