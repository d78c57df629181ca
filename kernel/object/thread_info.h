/* ThreadInfo of a thread, as ThreadControl, ThreadHandle and Process give it. */
#ifndef CAPOS_OBJECT_THREAD_INFO_H
#define CAPOS_OBJECT_THREAD_INFO_H

#include "call/buffer.h"

struct capos_thread_info;
struct thread;

/* Any context in which the record stays. */
void thread_info(const struct thread *thread, struct capos_thread_info *info);
/* A thread. */
status_t thread_info_write(struct thread *thread, struct buffer_out *out) MUST_CHECK;

#endif
