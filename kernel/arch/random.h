/* Random words by instructions of the processor. Any context. */
#ifndef CAPOS_ARCH_RANDOM_H
#define CAPOS_ARCH_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

/* From the processor's source of noise, fit to seed a generator. False: it has none, or it fails.
 */
bool cpu_seed_word(uint64_t *word);
/* From a generator in the processor. False: it has none, or it fails. */
bool cpu_random_word(uint64_t *word);
/* Boot, for the stack guard, after cpu_detect() and before anything else works: where the processor
 * has no generator, a number that an attacker may guess. */
uint64_t cpu_boot_random(void);

#endif
