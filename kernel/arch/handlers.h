/* What the architecture calls: the other direction of the contract. entry.S and its like come here
 * from user mode, and from the kernel's own accesses to user memory. Interrupts of devices and of
 * other CPUs go to machine_interrupt() (machine/interrupts.h), other exceptions of the kernel to
 * panic_begin() (core/panic.h).
 *
 * A thread, the current one, with interrupts off and no lock held, unless said otherwise. */
#ifndef CAPOS_ARCH_HANDLERS_H
#define CAPOS_ARCH_HANDLERS_H

#include <stdbool.h>
#include <stdint.h>

struct trap_frame;

enum fault_access { FAULT_READ, FAULT_WRITE, FAULT_EXEC };

/* A system call. The caller returns the value to the program. May block. Provided by call/. */
int64_t syscall_entry(struct trap_frame *frame);

/* The program's access to an address below CAPOS_USER_TOP found no page that allows it. Gets the
 * page, or delivers the fault, which may block. Provided by proc/, like the three below. */
void user_page_fault(struct trap_frame *frame, uint64_t address, enum fault_access access);
/* Another exception in the program: kind is a NotificationKind. Delivers it at once, or ends the
 * process with a report, which may block. */
void fault_deliver(struct trap_frame *frame, uint32_t kind, uint32_t code, uint64_t address);
/* An access of the kernel's own to user memory (arch/user_access.h) found none: the locks that it
 * allows may be held. Whether it can be repeated. */
bool kernel_page_fault(uint64_t address, enum fault_access access);

/* On the way to user mode, when resched of the CPU or exit_work of the thread is set. When it
 * returns, the frame is the one to leave by, with every register from there. Other threads may run
 * meanwhile. */
void return_to_user(struct trap_frame *frame);

/* A thread that context_hand_over() left runs again, because its wait has ended otherwise than by a
 * hand-over back, or the hand-over leads here. Ends the system call. Provided by object/. */
_Noreturn void message_resume(void);

/* The first thing a thread does after a switch to it, with the run queue's lock held, which it
 * releases. Provided by sched/. */
void sched_switched(void);
/* Debug kernels: the last step of context_hand_over(), which releases that lock. */
void sched_left(void);

#endif
