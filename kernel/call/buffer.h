/* Buffers: the bytes that go with a call.
 *
 * The bytes of a Data or Text parameter are either part of the message, which the kernel has copied
 * already, or, in compact form, still at a user address. A method need not know which. It reads
 * parameters through buffer_read and writes results through buffer_write. Any context of a user
 * thread that may take the ASPACE lock, because an access to user memory may fault (mm/user.h). */
#ifndef CALL_BUFFER_H
#define CALL_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include "capos_kernel/status.h"
#include "mm/user.h"

/* Bytes to read: at kernel when that is not NULL, otherwise at the user address. */
struct buffer_in {
	const void *kernel;
	struct user_ptr user;
	size_t length;
};

/* Room to write: at kernel when that is not NULL, otherwise at the user address. length counts the
 * bytes written. */
struct buffer_out {
	void *kernel;
	struct user_ptr user;
	size_t capacity;
	size_t length;
};

/* Copies n bytes from offset on. The caller keeps offset + n within the buffer's length. */
MUST_CHECK static inline status_t buffer_read(
	const struct buffer_in *buffer, size_t offset, void *dst, size_t n)
{
	if (n > buffer->length || offset > buffer->length - n)
		return STATUS(INVALID_ARGUMENT);
	if (buffer->kernel == NULL)
		return copy_from_user(dst, user_ptr_add(buffer->user, offset), n);
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
		status_t status = copy_to_user(user_ptr_add(buffer->user, buffer->length), src, n);

		if (status != STATUS_OK)
			return status;
	} else if (n > 0) {
		__builtin_memcpy((char *)buffer->kernel + buffer->length, src, n);
	}
	buffer->length += n;
	return STATUS_OK;
}

#endif
