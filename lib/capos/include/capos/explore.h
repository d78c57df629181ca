/* Included before all else in C programs that ./capos explore builds: their atomic operations are
 * decision points, as the calls of the library are. A macro is not replaced inside itself. */
#ifndef CAPOS_EXPLORE_H
#define CAPOS_EXPLORE_H

/* Any thread. The kernel may have it wait here. */
void capos_explore_point(void);

/* clang-format off */
#define __atomic_load_n(...) \
	(capos_explore_point(), __atomic_load_n(__VA_ARGS__))
#define __atomic_load(...) \
	(capos_explore_point(), __atomic_load(__VA_ARGS__))
#define __atomic_store_n(...) \
	(capos_explore_point(), __atomic_store_n(__VA_ARGS__))
#define __atomic_store(...) \
	(capos_explore_point(), __atomic_store(__VA_ARGS__))
#define __atomic_exchange_n(...) \
	(capos_explore_point(), __atomic_exchange_n(__VA_ARGS__))
#define __atomic_exchange(...) \
	(capos_explore_point(), __atomic_exchange(__VA_ARGS__))
#define __atomic_compare_exchange_n(...) \
	(capos_explore_point(), __atomic_compare_exchange_n(__VA_ARGS__))
#define __atomic_compare_exchange(...) \
	(capos_explore_point(), __atomic_compare_exchange(__VA_ARGS__))
#define __atomic_add_fetch(...) \
	(capos_explore_point(), __atomic_add_fetch(__VA_ARGS__))
#define __atomic_sub_fetch(...) \
	(capos_explore_point(), __atomic_sub_fetch(__VA_ARGS__))
#define __atomic_and_fetch(...) \
	(capos_explore_point(), __atomic_and_fetch(__VA_ARGS__))
#define __atomic_or_fetch(...) \
	(capos_explore_point(), __atomic_or_fetch(__VA_ARGS__))
#define __atomic_xor_fetch(...) \
	(capos_explore_point(), __atomic_xor_fetch(__VA_ARGS__))
#define __atomic_nand_fetch(...) \
	(capos_explore_point(), __atomic_nand_fetch(__VA_ARGS__))
#define __atomic_fetch_add(...) \
	(capos_explore_point(), __atomic_fetch_add(__VA_ARGS__))
#define __atomic_fetch_sub(...) \
	(capos_explore_point(), __atomic_fetch_sub(__VA_ARGS__))
#define __atomic_fetch_and(...) \
	(capos_explore_point(), __atomic_fetch_and(__VA_ARGS__))
#define __atomic_fetch_or(...) \
	(capos_explore_point(), __atomic_fetch_or(__VA_ARGS__))
#define __atomic_fetch_xor(...) \
	(capos_explore_point(), __atomic_fetch_xor(__VA_ARGS__))
#define __atomic_fetch_nand(...) \
	(capos_explore_point(), __atomic_fetch_nand(__VA_ARGS__))
#define __atomic_test_and_set(...) \
	(capos_explore_point(), __atomic_test_and_set(__VA_ARGS__))
#define __atomic_clear(...) \
	(capos_explore_point(), __atomic_clear(__VA_ARGS__))
#define __c11_atomic_load(...) \
	(capos_explore_point(), __c11_atomic_load(__VA_ARGS__))
#define __c11_atomic_store(...) \
	(capos_explore_point(), __c11_atomic_store(__VA_ARGS__))
#define __c11_atomic_exchange(...) \
	(capos_explore_point(), __c11_atomic_exchange(__VA_ARGS__))
#define __c11_atomic_compare_exchange_strong(...) \
	(capos_explore_point(), __c11_atomic_compare_exchange_strong(__VA_ARGS__))
#define __c11_atomic_compare_exchange_weak(...) \
	(capos_explore_point(), __c11_atomic_compare_exchange_weak(__VA_ARGS__))
#define __c11_atomic_fetch_add(...) \
	(capos_explore_point(), __c11_atomic_fetch_add(__VA_ARGS__))
#define __c11_atomic_fetch_sub(...) \
	(capos_explore_point(), __c11_atomic_fetch_sub(__VA_ARGS__))
#define __c11_atomic_fetch_and(...) \
	(capos_explore_point(), __c11_atomic_fetch_and(__VA_ARGS__))
#define __c11_atomic_fetch_or(...) \
	(capos_explore_point(), __c11_atomic_fetch_or(__VA_ARGS__))
#define __c11_atomic_fetch_xor(...) \
	(capos_explore_point(), __c11_atomic_fetch_xor(__VA_ARGS__))
/* clang-format on */

#endif
