/* Random bytes from the kernel's generator. */
#ifndef CAPOS_RANDOM_H
#define CAPOS_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Fills the buffer; waits while the generator has no seed yet. 0 or an error. */
int64_t capos_random_fill(void *buffer, size_t size_bytes);

#ifdef __cplusplus
}
#endif

#endif
