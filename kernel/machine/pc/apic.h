/* Local and I/O interrupt controllers: the timer, interrupts between CPUs, device lines. Intel SDM
 * volume 3 chapter 11. */
#ifndef CAPOS_MACHINE_PC_APIC_H
#define CAPOS_MACHINE_PC_APIC_H

#include <stdint.h>

/* Interrupt vectors. Device lines use VECTOR_DEVICE + GSI, messages those behind. */
#define VECTOR_PIC 0x20 /* the old controller's, masked; it may still send spurious ones */
#define VECTOR_DEVICE 0x30
#define DEVICE_LINES 24
#define DEVICE_MESSAGES 8
#define DEVICE_VECTORS (DEVICE_LINES + DEVICE_MESSAGES)
#define VECTOR_TIMER 0xe0
#define VECTOR_RESCHED 0xe1
#define VECTOR_TLB 0xe2
#define VECTOR_SPURIOUS 0xff

void apic_init_machine(void); /* once: old controller off, I/O APIC masked */
void apic_init_cpu(void);     /* each CPU */
uint32_t apic_id(void);
void apic_end_of_interrupt(void);
void apic_send(uint32_t apic_id, unsigned vector);
/* Starting a CPU, SDM 3 chapter 9.4; `target` may be APIC_ALL_OTHERS. */
#define APIC_ALL_OTHERS 0xffffffffu
void apic_send_init(uint32_t target);
void apic_send_startup(uint32_t target, unsigned page);
/* Panic: an NMI to all other CPUs, which stop. */
void apic_stop_others(void);

void apic_timer_mode(void); /* chooses between the two below, by cpu_features.tsc_deadline; part of
                               apic_init_cpu */
/* One-shot timer: an interrupt after count ticks of the timer clock (0 stops it). */
void apic_timer_start(uint32_t count);
uint32_t apic_timer_current(void);
/* With the TSC-deadline mode: an interrupt at that TSC value (0 stops it). */
void apic_timer_deadline(uint64_t tsc);

/* number: the vector's distance from VECTOR_DEVICE. */
void device_interrupt(unsigned number);

#endif
