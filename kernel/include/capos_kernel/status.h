/* The kernel's own result type: 0, or minus an ABI error number, so that a refusal travels from the place
 * that found it to the program's RAX without translation. */
#ifndef CAPOS_KERNEL_STATUS_H
#define CAPOS_KERNEL_STATUS_H

#include <capos/abi.h>

typedef int status_t;

#define STATUS_OK 0
/* STATUS(NO_MEMORY) is the refusal CAPOS_ERROR_NO_MEMORY. */
#define STATUS(error) (-((int)CAPOS_ERROR_BASE + (int)CAPOS_ERROR_##error))
/* STATUS_TRANSPORT(INVALID_REQUEST): the call layer's own refusals. */
#define STATUS_TRANSPORT(error) (-(int)CAPOS_TRANSPORT_ERROR_##error)

#define MUST_CHECK __attribute__((warn_unused_result))

#endif
