/* RDSEED and RDRAND. Intel SDM volume 1, 7.3.17: both may find nothing ready and say so in CF; the
 * former does so often when several CPUs ask. */
#include "arch/random.h"

#include "arch/cpu.h"
#include "arch/impl/x86.h"

#define TRIES 64u

bool cpu_seed_word(uint64_t *word)
{
	for (unsigned i = 0; cpu_features.rdseed && i < TRIES; i++) {
		uint8_t ok;
		__asm__ volatile("rdseed %0; setc %1" : "=r"(*word), "=q"(ok) : : "cc");
		if (ok)
			return true;
		cpu_relax();
	}
	return false;
}

bool cpu_random_word(uint64_t *word)
{
	for (unsigned i = 0; cpu_features.rdrand && i < TRIES; i++) {
		uint8_t ok;
		__asm__ volatile("rdrand %0; setc %1" : "=r"(*word), "=q"(ok) : : "cc");
		if (ok)
			return true;
	}
	return false;
}

uint64_t cpu_boot_random(void)
{
	uint64_t random;
	return cpu_random_word(&random) ? random : rdtsc() * 0x9e3779b97f4a7c15ul;
}
