/* The architecture's name, in texts and in executables. */
#ifndef CAPOS_ARCH_IDENTITY_H
#define CAPOS_ARCH_IDENTITY_H

/* Constants: ARCHITECTURE_NAME, a string as compilers write it; ELF_MACHINE, the number in the
 * header of its executables. */

#include "arch/impl/identity.h"

#endif
