/* Decision points of programs that are explored: see capos/explore.h. */
#include <capos/explore.h>

#include <capos/call.h>
#include <capos/inject.h>

/* A call of nothing. Every call is a point at which the kernel may choose. */
void capos_explore_point(void)
{
	capos_release(0);
}

/* The kernel of an explore build answers a release of nothing that has a second argument; any other
 * says that nothing is not held. */
uint32_t capos_inject(uint32_t ways)
{
	int64_t fault = capos_register_call(CAPOS_OPCODE_RELEASE, 0, ways, 0, 0, 0, 0);
	return fault > 0 ? (uint32_t)fault : 0;
}
