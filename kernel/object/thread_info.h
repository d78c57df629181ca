/* ThreadInfo of a thread, as both ThreadControl and ThreadHandle give it. */
#ifndef CAPOS_OBJECT_THREAD_INFO_H
#define CAPOS_OBJECT_THREAD_INFO_H

#include "call/buffer.h"

struct thread;

/* A thread. */
status_t thread_info_write(struct thread *thread, struct buffer_out *out) MUST_CHECK;

#endif
