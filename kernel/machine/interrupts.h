/* Interrupts: what the machine provides, and how it passes them on. The processor enters the kernel
 * by a vector. Only the machine knows to which device or CPU it belongs. Provided by
 * machine/MACHINE/.
 */
#ifndef CAPOS_MACHINE_INTERRUPTS_H
#define CAPOS_MACHINE_INTERRUPTS_H

#include <stdbool.h>
#include <stdint.h>

/* The reasons for which one CPU interrupts another. */
enum cpu_interrupt {
	CPU_INTERRUPT_RESCHEDULE, /* sets its resched */
	CPU_INTERRUPT_TLB,        /* tlb_serve() */
};

/* Interrupts another online CPU; returns at once. Everything this CPU has written before is seen by
 * the handler. Any context. */
void cpu_interrupt(unsigned cpu, enum cpu_interrupt why);
/* Any context, in a panic: every other CPU comes to panic_stop_cpu(), also one whose interrupts are
 * off. */
void cpus_interrupt_to_stop(void);

/* The architecture's entry calls this for every interrupt, with interrupts off: it tells the
 * machine that the interrupt has arrived, and calls its handler. Panics for one that nothing asked
 * for. */
void machine_interrupt(unsigned vector);

/* ---- devices ---- */

/* Handlers run on CPU 0 with interrupts off, and hold no lock when they are called. */

struct interrupt_handler {
	void (*run)(void *argument);
	void *argument;
};

/* Adds a handler for an interrupt line of the machine and unmasks the line. level: level-triggered;
 * such a line may have several handlers, and each checks whether its own device raised the
 * interrupt. False when the line does not exist or has too many. Boot only. */
bool interrupt_register(unsigned line, bool level, struct interrupt_handler handler);
/* The same for one of the 16 lines of the old PC, where and how the machine's tables say that it
 * arrives. False on a machine without them. Boot only. */
bool isa_interrupt_register(unsigned line, struct interrupt_handler handler);
/* Keeps the interrupts of a line back, or lets them in again: a level-triggered one that is asked
 * for meanwhile comes then. A line of several handlers stays as it is. Any context. */
void interrupt_mask_line(unsigned line, bool masked);

/* The memory write that raises an interrupt, for devices that use such writes (MSI). */
struct interrupt_message {
	uint64_t address;
	uint32_t data;
};
/* A message of its own for the handler; false when there are no more. Boot only. */
bool interrupt_register_message(
	struct interrupt_handler handler, struct interrupt_message *message);

#endif
