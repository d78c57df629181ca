/* Local and I/O interrupt controllers: the timer, interrupts between CPUs, device lines. Intel SDM
 * volume 3 chapter 11. Any context; what is of a CPU, on that CPU. */
#ifndef CAPOS_MACHINE_PC_APIC_H
#define CAPOS_MACHINE_PC_APIC_H

#include <stdint.h>

void apic_init_machine(void); /* once: old controller off, I/O APIC masked */
void apic_init_cpu(void);     /* each CPU */
uint32_t apic_id(void);
/* Starting a CPU, SDM 3 chapter 9.4; `target` may be APIC_ALL_OTHERS. */
#define APIC_ALL_OTHERS 0xffffffffu
void apic_send_init(uint32_t target);
void apic_send_startup(uint32_t target, unsigned page);
/* Chooses between the two below, by cpu_features.tsc_deadline; part of apic_init_cpu. */
void apic_timer_mode(void);
/* One-shot timer: an interrupt after count ticks of the timer clock (0 stops it). */
void apic_timer_start(uint32_t count);
uint32_t apic_timer_current(void);
/* With the TSC-deadline mode: an interrupt at that TSC value (0 stops it). */
void apic_timer_deadline(uint64_t tsc);

#endif
