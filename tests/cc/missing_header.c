/* <math.h> is not part of the small C library. */
#include <math.h>
