/* Assertions. Included again, it follows the then current NDEBUG. */
#undef assert
#ifdef NDEBUG
#define assert(condition) ((void)0)
#else
#define assert(condition) \
	((condition) ? (void)0 : capos_assert_failed(#condition, __FILE__, __LINE__, __func__))
#endif

#ifndef _ASSERT_H
#define _ASSERT_H
#ifdef __cplusplus
extern "C"
#else
#define static_assert _Static_assert
#endif
	__attribute__((noreturn)) void
	capos_assert_failed(
		const char *condition, const char *file, int line, const char *function);
#endif
