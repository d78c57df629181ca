/* From an address to a function name. The table is sorted by address and holds offsets from the
 * kernel's base and into the names. */
#include "debug/symbols.h"

#include <stddef.h>

#include "arch/address.h"

struct symbol {
	uint32_t address; /* from kernel_base */
	uint32_t name;    /* into kernel_symbol_names */
};

/* Made by kernel/symbols.awk from the first link pass, which itself has an empty table. */
extern const struct symbol kernel_symbols[];
extern const uint32_t kernel_symbol_count;
extern const char kernel_symbol_names[];

const char *symbol_lookup(uint64_t address, uint64_t *offset)
{
	*offset = 0;
	if (address < IMAGE_BASE)
		return NULL;
	uint32_t target = (uint32_t)(address - IMAGE_BASE);
	uint32_t low = 0, high = kernel_symbol_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (kernel_symbols[middle].address <= target)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return NULL;
	*offset = target - kernel_symbols[low - 1].address;
	return kernel_symbol_names + kernel_symbols[low - 1].name;
}
