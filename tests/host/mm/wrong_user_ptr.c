/* Mix-ups of user addresses with kernel pointers and numbers, which must not compile: struct
 * user_ptr is there for that. The file is right with WRONG=0. Every other value that it knows puts
 * one mistake into the line below the condition, and the compiler must find errors there and
 * nowhere else (tests/host/host.mk). Nothing of it runs. */
#include "call/buffer.h"
#include "core/string.h"
#include "mm/aspace.h"
#include "mm/park.h"
#include "mm/user.h"

status_t copy_in(void *kernel, struct user_ptr user, uint64_t number);
status_t copy_in(void *kernel, struct user_ptr user, uint64_t number)
{
#if WRONG == 1 /* copy_from_kernel_pointer */
	return copy_from_user(kernel, kernel, number);
#elif WRONG == 2 /* copy_from_number */
	return copy_from_user(kernel, number, number);
#elif WRONG == 3 /* copy_to_user_address */
	return copy_from_user(user, user, number);
#else
	return copy_from_user(kernel, user, number);
#endif
}

status_t copy_out(const void *kernel, struct user_ptr user, uint64_t number);
status_t copy_out(const void *kernel, struct user_ptr user, uint64_t number)
{
#if WRONG == 4 /* copy_arguments_exchanged */
	return copy_to_user(kernel, user, number);
#elif WRONG == 5 /* copy_size_is_an_address */
	return copy_to_user(user, kernel, user);
#else
	return copy_to_user(user, kernel, number);
#endif
}

void access_memory(void *kernel, struct user_ptr user);
void access_memory(void *kernel, struct user_ptr user)
{
#if WRONG == 6 /* memcpy_of_user_memory */
	memcpy(kernel, user, 8);
#elif WRONG == 7 /* user_memory_dereferenced */
	*(uint64_t *)kernel = *(uint64_t *)user;
#elif WRONG == 8 /* user_address_as_pointer */
	kernel = (void *)user;
#else
	memcpy(kernel, &user, sizeof user);
#endif
	(void)kernel;
}

uint64_t calculate(struct user_ptr user, uint64_t number);
uint64_t calculate(struct user_ptr user, uint64_t number)
{
#if WRONG == 9 /* sum_with_a_number */
	user = user + number;
#elif WRONG == 10 /* number_assigned */
	user = number;
#elif WRONG == 11 /* compared_with_a_number */
	number = user == number;
#elif WRONG == 12 /* cast_to_a_number */
	number = (uint64_t)user;
#else
	user = user_ptr_add(user, number);
#endif
	return user.address + number;
}

int64_t other_takers(struct aspace *space, const void *kernel, struct user_ptr user);
int64_t other_takers(struct aspace *space, const void *kernel, struct user_ptr user)
{
#if WRONG == 13 /* park_on_a_number */
	return park_wait(false, 0x1000, 0, DEADLINE_NONE);
#elif WRONG == 14 /* write_to_a_number */
	return aspace_write(space, 0x1000, kernel, 8);
#elif WRONG == 15 /* write_from_user_memory */
	return aspace_write(space, user, user, 8);
#else
	return park_wait(false, user, 0, DEADLINE_NONE) + aspace_write(space, user, kernel, 8);
#endif
}

struct buffer_in buffer_of(const void *kernel, struct user_ptr user);
struct buffer_in buffer_of(const void *kernel, struct user_ptr user)
{
#if WRONG == 16 /* buffer_at_a_kernel_pointer */
	return (struct buffer_in){ .kernel = NULL, .user = kernel, .length = 8 };
#elif WRONG == 17 /* buffer_at_a_number */
	return (struct buffer_in){ .kernel = NULL, .user = 0x1000, .length = 8 };
#elif WRONG == 18 /* buffer_of_kernel_memory_at_a_user_address */
	return (struct buffer_in){ .kernel = user, .length = 8 };
#else
	return (struct buffer_in){ .kernel = kernel, .user = user, .length = 8 };
#endif
}
