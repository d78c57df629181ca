/* The other side of generated Go clients and servers, in C: serves a sum, or calls one. */
#include <capos/capos.h>

#include "sum.capnp.h"

#include <inttypes.h>
#include <stdio.h>

static uint32_t add(struct capos_call *call, const struct sum_add_params *params,
	struct sum_add_results *results)
{
	int64_t *total = call->context;

	if (params->number == 0)
		return CAPOS_ERROR_NOT_FOUND;
	*total += params->number;
	results->total = *total;
	return 0;
}

static const struct sum_methods methods = { .add = add };

/* Calls until a total of 42, and then once more, which the server refuses. */
static int use(capos_cap_t facet)
{
	struct capos_client sum = { .facet = facet };
	int64_t total = 0;

	for (int64_t number = 40; number >= 2; number -= 38) {
		int64_t status = sum_add(&sum, number, &total);

		if (status < 0) {
			printf("C client: %s\n", capos_error_name(status));
			return 1;
		}
	}
	return total == 42 && sum_add(&sum, 0, &total) == CAPOS_E(NOT_FOUND) ? 0 : 1;
}

int main(void)
{
	int64_t total = 0;
	capos_cap_t endpoint = capos_cap("endpoint");

	if (!endpoint)
		return use(capos_cap("facet"));
	return sum_serve(endpoint, &methods, &total, 1) == 0 ? 0 : 1;
}
