/* What the manifest would have to say for a service not to be refused. */
#ifndef INIT_BUDGETS_H
#define INIT_BUDGETS_H

#include <capos/call.h>

#include "manifest.h"

/* The service has failed, and its process has ended: a line for each budget of its own that it was
 * refused more of. Where none is in the way there is no line. */
void budgets_tell_refused(const struct capos_manifest_service *entry, capos_cap_t process);

/* The service was not started, with this error: a line when it is to have more than init has left
 * of a budget. */
void budgets_tell_not_started(const struct capos_manifest_service *entry, int64_t status);

#endif
