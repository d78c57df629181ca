/* The shared parts of the codec's tests: reporting, the caller's memory as a window of addresses,
 * and the table of methods. */
#ifndef CODEC_HARNESS_H
#define CODEC_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "call/decode.h"
#include "methods.h"

/* The user addresses that exist: window[0..WINDOW_BYTES) at WINDOW_BASE. */
#define WINDOW_BASE 0x10000u
#define WINDOW_BYTES 4096u
extern uint8_t window[WINDOW_BYTES];

/* The method called "Interface.method", or NULL. */
const struct method_desc *find_method(const char *name);

#endif
