/* A service that adds 1000 to the sum and crashes. init starts it again, as often as the manifest
 * says. */
#include <stdlib.h>

#include <capos/capos.h>

int main(void)
{
	struct capos_message message = { .words = { 1, 1000 } };

	if (capos_endpoint_call(capos_cap("sum"), &message, CAPOS_WAIT_FOREVER) < 0)
		return EXIT_FAILURE;
	*(volatile int *)8 = 1;
	return EXIT_SUCCESS;
}
