/* User memory. These functions check the range, and the processor checks the rest: usercopy.S has
 * the accesses, and the page-fault handler resolves the faults it can and sends others to the
 * fixups.
 */
#include "mm/user.h"

#include "arch/user_access.h"
#include "core/kasan.h"
#include "core/lock.h"

static bool in_user_half(struct user_ptr start, size_t size)
{
	return start.address < CAPOS_USER_TOP && size <= CAPOS_USER_TOP - start.address;
}

static status_t copy_checked(void *to, const void *from, size_t size)
{
	assert_may_take(LOCK_RANK_ASPACE);
	user_access_begin();
	bool copied = user_copy(to, from, size);
	user_access_end();
	return copied ? STATUS_OK : STATUS(BAD_ADDRESS);
}

status_t copy_from_user(void *to, struct user_ptr from, size_t size)
{
	if (size == 0)
		return STATUS_OK;
	if (!in_user_half(from, size))
		return STATUS(BAD_ADDRESS);
	kasan_check(to, size, true);
	return copy_checked(to, (const void *)from.address, size);
}

status_t copy_to_user(struct user_ptr to, const void *from, size_t size)
{
	if (size == 0)
		return STATUS_OK;
	if (!in_user_half(to, size))
		return STATUS(BAD_ADDRESS);
	kasan_check(from, size, false);
	return copy_checked((void *)to.address, from, size);
}

bool user_read_u32_nofault(struct user_ptr from, uint32_t *value)
{
	if (!in_user_half(from, sizeof(*value)))
		return false;
	user_access_begin();
	bool loaded = user_load_u32_nofault((const void *)from.address, value);
	user_access_end();
	return loaded;
}

status_t user_touch(struct user_ptr byte)
{
	char copy;

	return copy_from_user(&copy, byte, sizeof(copy));
}
