/* The functions that gcc calls in the debug kernel when an operation has no defined result
 * (-fsanitize=undefined). Each panics and names the place in the source. The first argument
 * describes the operation and begins with the place. The rest of it is not printed, since the line
 * tells as much. Names and layouts: gcc/ubsan.cc. */
#include <stdint.h>

#ifdef CAPOS_KASAN

#include "core/log.h"

struct source_place {
	const char *file;
	uint32_t line, column;
};

static _Noreturn void undefined(const struct source_place *place, const char *what)
{
	panic("UBSAN: %s at %s:%u:%u", what, place->file, place->line, place->column);
}

#define HANDLER(name, what)                                                     \
	_Noreturn void __ubsan_handle_##name(const struct source_place *place); \
	_Noreturn void __ubsan_handle_##name(const struct source_place *place)  \
	{                                                                       \
		undefined(place, what);                                         \
	}
HANDLER(add_overflow_abort, "signed addition overflows")
HANDLER(sub_overflow_abort, "signed subtraction overflows")
HANDLER(mul_overflow_abort, "signed multiplication overflows")
HANDLER(negate_overflow_abort, "signed negation overflows")
HANDLER(divrem_overflow_abort, "division by zero or overflow")
HANDLER(shift_out_of_bounds_abort, "shift out of range")
HANDLER(out_of_bounds_abort, "index out of bounds")
HANDLER(pointer_overflow_abort, "pointer arithmetic overflows")
HANDLER(load_invalid_value_abort, "value that its type does not have")
HANDLER(vla_bound_not_positive_abort, "array of no elements")
HANDLER(builtin_unreachable, "a place that is said not to be reached")
HANDLER(invalid_builtin_abort, "count of zero's leading or trailing zeros")
HANDLER(nonnull_arg_abort, "null argument where none is allowed")

/* A misaligned or null pointer, or an object smaller than its type. */
struct type_mismatch {
	struct source_place place;
	const void *type;
	uint8_t log_alignment, kind;
};

_Noreturn void __ubsan_handle_type_mismatch_v1_abort(
	const struct type_mismatch *data, uintptr_t pointer);

_Noreturn void __ubsan_handle_type_mismatch_v1_abort(
	const struct type_mismatch *data, uintptr_t pointer)
{
	if (!pointer)
		undefined(&data->place, "null pointer");
	if (pointer & ((1ul << data->log_alignment) - 1))
		undefined(&data->place, "misaligned pointer");
	undefined(&data->place, "object too small for its type");
}

/* The place of the return statement comes in a structure of its own. */
_Noreturn void __ubsan_handle_nonnull_return_v1_abort(
	const void *data, const struct source_place *place);

_Noreturn void __ubsan_handle_nonnull_return_v1_abort(
	const void *data, const struct source_place *place)
{
	(void)data;
	undefined(place, "null returned where that is not allowed");
}

#endif
