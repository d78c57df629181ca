/* TLB shootdown.
 *
 * A space's `cpus` has a bit for every CPU that has it loaded; a CPU sets the bit before it loads
 * CR3 and clears it after it has loaded another, so the mask never misses one. (No PCIDs: loading
 * CR3 flushes everything but the kernel's global entries.) The initiator changes the page tables,
 * writes its request, marks itself a sender at each target, interrupts them, and waits until all
 * have answered. It serves other CPUs while it waits, and so does every CPU that spins on a lock.
 * So no two CPUs can wait for each other. models/tlb.pml is the model. */
#include "arch/tlb.h"

#include "arch/cpu.h"
#include "core/percpu.h"
#include "machine/cpus.h"
#include "machine/interrupts.h"
#include "arch/x86_64/arch.h"
#include "mm/aspace.h"

#define FLUSH_PAGES_MAX 32

static void flush_local(uint64_t start, uint64_t end)
{
	if (end - start > FLUSH_PAGES_MAX * PAGE_SIZE) {
		uint64_t cr3;
		__asm__ volatile("mov %%cr3, %0\n\tmov %0, %%cr3" : "=r"(cr3) : : "memory");
		return;
	}
	for (uint64_t page = start; page < end; page += PAGE_SIZE)
		__asm__ volatile("invlpg (%0)" : : "r"(page) : "memory");
}

static void serve_request(struct percpu *cpu, const struct tlb_request *request)
{
	if (cpu->space != request->space)
		return;
	if (request->start != request->end)
		flush_local(request->start, request->end);
	else
		aspace_activate(NULL);
}

void tlb_serve(void)
{
	struct percpu *cpu = percpu();
	if (!__atomic_load_n(&cpu->tlb_senders, __ATOMIC_RELAXED))
		return;
	uint64_t senders = __atomic_exchange_n(&cpu->tlb_senders, 0, __ATOMIC_SEQ_CST);
	for (; senders; senders &= senders - 1) {
		struct tlb_request *request = &percpus[__builtin_ctzl(senders)].tlb;
		serve_request(cpu, request);
		__atomic_and_fetch(&request->waiting, ~cpu_bit(cpu->id), __ATOMIC_SEQ_CST);
	}
}

static void request_others(struct aspace *space, uint64_t start, uint64_t end)
{
	struct percpu *cpu = percpu();
	uint64_t others = __atomic_load_n(&space->cpus, __ATOMIC_SEQ_CST) & ~cpu_bit(cpu->id);
	if (!others)
		return;
	cpu->tlb.space = space;
	cpu->tlb.start = start;
	cpu->tlb.end = end;
	__atomic_store_n(&cpu->tlb.waiting, others, __ATOMIC_SEQ_CST);
	for (uint64_t left = others; left; left &= left - 1) {
		unsigned target = (unsigned)__builtin_ctzl(left);
		__atomic_or_fetch(&percpus[target].tlb_senders, cpu_bit(cpu->id), __ATOMIC_SEQ_CST);
		cpu_interrupt(target, CPU_INTERRUPT_TLB);
		__atomic_fetch_add(&space->interrupts, 1, __ATOMIC_RELAXED);
	}
	while (__atomic_load_n(&cpu->tlb.waiting, __ATOMIC_SEQ_CST)) {
		tlb_serve();
		cpu_relax();
	}
}

void tlb_flush_range(struct aspace *space, uint64_t start, uint64_t end)
{
	/* The page-table writes come before the read of the mask: a CPU that sets its bit later
	 * walks the new tables. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (percpu()->space == space)
		flush_local(start, end);
	request_others(space, start, end);
}

void tlb_evict(struct aspace *space)
{
	if (percpu()->space == space)
		aspace_activate(NULL);
	request_others(space, 0, 0);
}

void aspace_activate(struct aspace *space)
{
	struct percpu *cpu = percpu();
	struct aspace *old = cpu->space;
	if (old == space)
		return;
	if (space)
		__atomic_or_fetch(&space->cpus, cpu_bit(cpu->id), __ATOMIC_SEQ_CST);
	cpu->space = space;
	uint64_t root = space ? space->root : image_to_phys(kernel_pml4);
	__asm__ volatile("mov %0, %%cr3" : : "r"(root) : "memory");
	if (old)
		__atomic_and_fetch(&old->cpus, ~cpu_bit(cpu->id), __ATOMIC_SEQ_CST);
}
