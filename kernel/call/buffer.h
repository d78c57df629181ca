/* Runs of bytes that go with a call.
 *
 * A Data or Text parameter is either part of the message, which the kernel has copied already, or,
 * in compact form, still at an address the caller named. A method does not care which: it reads
 * through buffer_read, and results through buffer_write. The functions that touch user memory are
 * the kernel's (or, in host tests, the test's). */
#ifndef CALL_BUFFER_H
#define CALL_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include "capos_kernel/status.h"

/* Bytes to read: at kernel when that is not NULL, otherwise at the user address. */
struct buffer_in {
	const void *kernel;
	uint64_t user;
	size_t length;
};

/* Room to write: at kernel when that is not NULL, otherwise at the user address. length is how much
 * is written. */
struct buffer_out {
	void *kernel;
	uint64_t user;
	size_t capacity;
	size_t length;
};

/* Copy n bytes from and to the caller's address space; badAddress when any of them is out of reach.
 * Any address and any length are allowed, also ones that wrap. */
MUST_CHECK status_t copy_from_user(void *dst, uint64_t src, size_t n);
MUST_CHECK status_t copy_to_user(uint64_t dst, const void *src, size_t n);

/* Copies n bytes from offset on. The caller keeps offset + n within the buffer's length. */
MUST_CHECK static inline status_t buffer_read(
	const struct buffer_in *buffer, size_t offset, void *dst, size_t n)
{
	if (n > buffer->length || offset > buffer->length - n)
		return STATUS(INVALID_ARGUMENT);
	if (buffer->kernel == NULL)
		return copy_from_user(dst, buffer->user + offset, n);
	if (n > 0)
		__builtin_memcpy(dst, (const char *)buffer->kernel + offset, n);
	return STATUS_OK;
}

/* Appends up to n bytes, as far as they fit: a caller that knows an older, shorter structure gets
 * its beginning. Look at the remaining capacity before taking bytes out of a place they cannot be
 * put back into. */
MUST_CHECK static inline status_t buffer_write(struct buffer_out *buffer, const void *src, size_t n)
{
	size_t room = buffer->capacity - buffer->length;

	if (n > room)
		n = room;
	if (buffer->kernel == NULL) {
		status_t status = copy_to_user(buffer->user + buffer->length, src, n);

		if (status != STATUS_OK)
			return status;
	} else if (n > 0) {
		__builtin_memcpy((char *)buffer->kernel + buffer->length, src, n);
	}
	buffer->length += n;
	return STATUS_OK;
}

#endif
