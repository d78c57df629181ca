/* Buffers: the bytes that go with a call.
 *
 * The bytes of a Data or Text parameter are either part of the message, which the kernel has copied
 * already, or, in compact form, still at a user address. A method need not know which. It reads
 * parameters through buffer_read and writes results through buffer_write. The two functions that
 * touch user memory are the kernel's, or in host tests the test's. */
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

/* Room to write: at kernel when that is not NULL, otherwise at the user address. length counts the
 * bytes written. */
struct buffer_out {
	void *kernel;
	uint64_t user;
	size_t capacity;
	size_t length;
};

/* Copy n bytes from and to the caller's address space. They fail with badAddress when any of the
 * bytes cannot be accessed. Any address and any length are allowed, also ranges that wrap
 * around. */
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

/* Appends up to n bytes, as far as they fit: a caller that was built with an older, shorter
 * structure gets its beginning. A caller that takes bytes from a place to which it cannot return
 * them has to look at the remaining capacity first. */
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
