/* Included before libcapos' clients and servers are compiled for the host: what drops a capability
 * there is a function of the test. */
#include <capos/call.h>

int64_t released_here(capos_cap_t cap);
#define capos_release released_here
