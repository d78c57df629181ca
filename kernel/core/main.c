/* Boot: one call for each part of the kernel, in the order in which they depend on each other; then the programs of the boot package. */
#include "core/main.h"

#include "arch/x86_64/acpi.h"
#include "arch/x86_64/apic.h"
#include "arch/x86_64/arch.h"
#include "arch/x86_64/asm.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/percpu.h"
#include "core/log.h"
#include "core/string.h"
#include "core/symbols.h"
#include "dev/devices.h"
#include "dev/uart.h"
#include "mm/frame.h"
#include "proc/reaper.h"
#include "proc/run.h"
#include "sched/park.h"
#include "sched/sched.h"
#include "sched/thread.h"

/* Xen public/arch-x86/hvm/start_info.h, version 1. */
#define START_INFO_MAGIC 0x336ec578u
#define MEMORY_RAM 1

struct start_info {
	uint32_t magic, version, flags, module_count;
	uint64_t modules, command_line, rsdp, memory_map;
	uint32_t memory_map_entries, reserved;
};

struct boot_module {
	uint64_t start, size, command_line, reserved;
};

struct memory_map_entry {
	uint64_t start, size;
	uint32_t type, reserved;
};

#define RANGES_MAX 16
#define COMMAND_LINE_MAX 2048
#define LOW_MEMORY_TAKEN 0x10000ul /* page 0, start info, the processors' trampoline */

struct boot {
	struct memory_range usable[RANGES_MAX], taken[4];
	unsigned usable_count, taken_count;
	uint64_t ram_end, rsdp;
	const void *package;
	uint64_t package_size;
};

static struct boot boot;
static char command_line[COMMAND_LINE_MAX];
extern char kernel_image_start[], kernel_image_end[];

static void read_start_info(const struct start_info *info)
{
	if (info->magic != START_INFO_MAGIC)
		panic("not started by a PVH loader");
	if (info->version < 1)
		panic("the loader gives no memory map (start info version %u)", info->version);
	const struct memory_map_entry *map = phys_to_virt(info->memory_map);
	for (uint32_t i = 0; i < info->memory_map_entries && boot.usable_count < RANGES_MAX; i++) {
		if (map[i].type != MEMORY_RAM)
			continue;
		uint64_t start = (map[i].start + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1), end = (map[i].start + map[i].size) & ~(PAGE_SIZE - 1);
		if (end <= start)
			continue;
		boot.usable[boot.usable_count++] = (struct memory_range){ start, end };
		if (end > boot.ram_end)
			boot.ram_end = end;
	}
	boot.rsdp = info->rsdp;
	if (info->command_line)
		text_copy(command_line, phys_to_virt(info->command_line), sizeof command_line);
	if (info->module_count) {
		const struct boot_module *module = phys_to_virt(info->modules);
		boot.package = phys_to_virt(module->start);
		boot.package_size = module->size;
		boot.taken[boot.taken_count++] = (struct memory_range){
			module->start & ~(PAGE_SIZE - 1), (module->start + module->size + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1) };
	}
}

static void init_memory(void)
{
	uint64_t image_start = (uint64_t)kernel_image_start - KERNEL_BASE, free = (uint64_t)kernel_image_end - KERNEL_BASE;
	kernel_map_init(boot.ram_end, &free);
	boot.taken[boot.taken_count++] = (struct memory_range){ 0, LOW_MEMORY_TAKEN };
	boot.taken[boot.taken_count++] = (struct memory_range){ image_start, free };
	wrmsr(0xc0000080, rdmsr(0xc0000080) | (cpu_features.nx ? 0x800 : 0)); /* EFER.NXE: the new tables use it */
	kernel_map_activate();
	frames_init(boot.usable, boot.usable_count, boot.taken, boot.taken_count);
}

static void run(void *unused)
{
	(void)unused;
	smp_start();
	devices_init(command_line);
	run_programs(boot.package, boot.package_size, command_line);
}

const char *kernel_command_line(void)
{
	return command_line;
}

/* Only functions that never return may be on the stack. The lowest byte stays zero: it stops string overruns. */
static inline __attribute__((always_inline)) void choose_stack_guard(void)
{
	uint64_t random = rdtsc() * 0x9e3779b97f4a7c15ul;
	if (cpu_features.rdrand)
		__asm__ volatile("rdrand %0" : "=r"(random) : : "cc");
	__stack_chk_guard ^= random << 8;
}

/* Interrupts are off, the boot tables and the boot stack in use. */
_Noreturn void kernel_start(uint64_t start_info)
{
	/* GS must reach the per-CPU data before the first lock. */
	percpus[0].self = &percpus[0];
	wrmsr(0xc0000101, (uint64_t)&percpus[0]);
	cpu_detect();
	choose_stack_guard();
	read_start_info(phys_to_virt(start_info));
	const char *refusal = cpu_refusal();
	if (refusal)
		panic("%s", refusal);
	init_memory();
	cpu_setup(&percpus[0]);
	traps_init();
	acpi_init(boot.rsdp, boot.ram_end);
	apic_init_machine();
	apic_init_cpu();
	percpus[0].apic_id = apic_id();
	clock_init();
	park_init();
	sched_init_cpu(&percpus[0]);
	reaper_init();
	struct thread *thread;
	if (thread_create(NULL, "main", run, NULL, &thread) != STATUS_OK)
		panic("no memory for the first thread");
	thread_start(thread);
	sched_idle();
}
