/* The answer to the host's question what the processes are doing (HostMessage.look). */
#ifndef CAPOS_INIT_LOOK_H
#define CAPOS_INIT_LOOK_H

#include <stdbool.h>

struct process;

/* Set when the host has asked, for process_wait_unless. */
extern bool look_asked;

/* Any context that may take the PROCESS lock. The host asks. */
void look_wanted(void);
/* A thread. Sends one process and all below it, where the host has asked. */
void look_send(struct process *process);
/* A thread. Ends the answer, after look_send for each program. */
void look_send_end(void);

#endif
