/* What the kernel's other parts call in arch/x86_64, beyond cpu.h and tlb.h. */
#ifndef CAPOS_ARCH_ARCH_H
#define CAPOS_ARCH_ARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "sched/thread.h"

struct percpu;

/* cpu.c: this CPU's control registers, descriptor tables, system call entry. cpu_detect() comes first, once. */
void cpu_detect(void);
void cpu_setup(struct percpu *cpu);
/* Refuses machines the kernel cannot run on; NULL when this one is fine. */
const char *cpu_refusal(void);

/* traps.c */
void traps_init(void);

/* kernel_map.c: the kernel's own page tables, in place of the boot tables. Maps RAM up to ram_end directly; takes frames from *free upwards. */
void kernel_map_init(uint64_t ram_end, uint64_t *free);
void kernel_map_activate(void);
extern uint64_t kernel_pml4[512];

/* vector.c: vector state (x87, SSE, AVX) of a thread in an area of vector_size() bytes, 64-byte aligned. */
uint32_t vector_size(void);
void vector_init_area(void *area);
void vector_save(void *area);
void vector_load(const void *area);
/* Makes an area that came from a program safe to load; false when that is impossible. */
bool vector_sanitize(void *area);

/* entry.S */
void switch_context(uint64_t *save_rsp, uint64_t load_rsp);
void thread_begin(void);
void entry_syscall(void);

/* smp.c */
void smp_start(void);

/* clock.c */
void clock_init(void);

/* GS and FS bases of the running thread. */
uint64_t fs_base_read(void);
void fs_base_write(uint64_t base);
uint64_t user_gs_base_read(void);
void user_gs_base_write(uint64_t base);

#endif
