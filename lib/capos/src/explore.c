/* Decision points of programs that are explored: see capos/explore.h. */
#include <capos/explore.h>

#include <capos/call.h>

/* A call of nothing. Every call is a point at which the kernel may choose. */
void capos_explore_point(void)
{
	capos_release(0);
}
