/* The vector area that a program gives to resume. An area that vector_sanitize accepts must be
 * loaded by this processor's own XRSTOR without a fault. */
#include <stdint.h>
#include <string.h>

#include "arch/context.h"
#include "arch/impl/x86.h"
#include "check.h"
#include "random.h"

#define AREA_BYTES                                                                                \
	16384 /* of all components that a processor has, which it may look at whatever the header \
	         says */
#define MXCSR 24
#define HEADER 512

struct cpu_features cpu_features;
static uint8_t area[AREA_BYTES] __attribute__((aligned(64)));
static uint8_t usual[AREA_BYTES] __attribute__((aligned(64)));
static void put(unsigned offset, uint64_t value)
{
	memcpy(area + offset, &value, sizeof value);
}

/* x87, SSE, AVX, as far as they are enabled here. False without XSAVE. */
static bool look_at_processor(void)
{
	uint32_t a = 1, b, c = 0, d;
	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	if (!(c >> 27 & 1))
		return false;
	__asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
	cpu_features =
		(struct cpu_features){ .xsave = true, .xsave_size = 4096, .xsave_mask = a & 7 };
	return true;
}

static void fresh_areas_pass(void)
{
	vector_init_area(area);
	CHECK(vector_sanitize(area));
	vector_load(area);
}

static void headers_are_checked(void)
{
	for (unsigned bit = 0; bit < 512; bit++) {
		vector_init_area(area);
		put(HEADER, bit < 64 ? 1ull << bit : 3);
		if (bit >= 64)
			put(HEADER + bit / 64 * 8, 1ull << bit % 64);
		CHECK(vector_sanitize(area) == (bit < 64 && (cpu_features.xsave_mask >> bit & 1)));
	}
}

/* Every accepted area can be loaded. */
static void what_passes_can_be_loaded(void)
{
	unsigned passed = 0;
	vector_init_area(usual);
	for (int i = 0; i < 20000; i++) {
		for (unsigned offset = 0; offset < 1024; offset += 8)
			put(offset, random_word());
		put(HEADER, random_word() & (random_word() % 4 ? 7 : ~0ull));
		for (unsigned word = 1; word < 8; word++)
			put(HEADER + 8 * word, random_word() % 32 ? 0 : random_word());
		if (!vector_sanitize(area))
			continue;
		passed++;
		vector_load(area);
		vector_load(usual);
		CHECK((*(uint32_t *)(area + MXCSR) & 0xffff0000) == 0);
	}
	CHECK(passed > 1000);
}

int main(void)
{
	if (!look_at_processor()) {
		printf("skip call vector: no XSAVE here\n");
		return 0;
	}
	RUN(fresh_areas_pass);
	RUN(headers_are_checked);
	RUN(what_passes_can_be_loaded);
	return check_failures != 0;
}
