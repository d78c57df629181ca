/* The last program of a machine: no call of those before it has kept interrupts off for longer than
 * the bound of late.h, as far as a timer interrupt was due meanwhile. */
#include "late.h"

static void programs_before(void)
{
	late_check("the programs before this");
}

int main(void)
{
	late_set_limit();
	RUN(programs_before);
	return check_result();
}
