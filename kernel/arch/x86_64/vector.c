/* The x87, SSE and AVX registers. The kernel never uses them, so they stay live across entries.
 * They are saved only when another thread takes the CPU or a notification is delivered. XSAVE
 * standard format where there is XSAVE, FXSAVE otherwise (SDM 13.4, 13.8). */
#include "arch/context.h"
#include "arch/impl/x86.h"
#include "core/string.h"

#define XSTATE_HEADER 512
#define MXCSR_OFFSET 24
#define MXCSR_DEFAULT 0x1f80u
#define MXCSR_VALID 0xffffu
#define FCW_DEFAULT 0x37fu

uint32_t vector_size(void)
{
	return cpu_features.xsave_size;
}

void vector_init_area(void *area)
{
	memset(area, 0, vector_size());
	*(uint16_t *)area = FCW_DEFAULT;
	*(uint32_t *)((char *)area + MXCSR_OFFSET) = MXCSR_DEFAULT;
	if (cpu_features.xsave)
		*(uint64_t *)((char *)area + XSTATE_HEADER) =
			3; /* x87 and SSE as above, the rest initial */
}

/* XRSTOR faults on reserved MXCSR bits, unknown components, and a header that is not zero beyond
 * the first word (SDM 13.8.1). */
bool vector_sanitize(void *area)
{
	uint32_t *mxcsr = (uint32_t *)((char *)area + MXCSR_OFFSET);
	*mxcsr &= MXCSR_VALID;
	if (!cpu_features.xsave)
		return true;
	uint64_t *header = (uint64_t *)((char *)area + XSTATE_HEADER);
	if (header[0] & ~cpu_features.xsave_mask)
		return false;
	for (int i = 1; i < 8; i++)
		if (header[i])
			return false;
	return true;
}
