/* A PC from the loader's information to the power switch. The other files of this folder have the
 * parts. */
#include "machine/machine.h"

#include "arch/ports.h"
#include "arch/x86_64/asm.h"
#include "arch/impl/x86.h"
#include "core/boot_info.h"
#include "core/log.h"
#include "machine/clock.h"
#include "machine/pc/acpi.h"
#include "machine/pc/apic.h"
#include "machine/pc/multiboot.h"
#include "machine/pc/pvh.h"
#include "machine/pc/smp.h"

#define LOW_MEMORY_TAKEN 0x10000ul /* page 0, the processors' trampoline */
#define DEBUG_EXIT_PORT 0xf4       /* QEMU's isa-debug-exit ends with status (value << 1) | 1 */
#define DEBUG_EXIT_DONE 0x10
#define DEBUG_EXIT_PANIC 0x3f

const char *machine_read_boot(uint64_t information, uint64_t magic, struct boot_info *boot)
{
	if (information >= BOOT_REACH)
		return "the loader's information lies above 4 GiB";
	if (magic == MULTIBOOT_MAGIC)
		return multiboot_read(phys_to_virt(information), BOOT_REACH - information, boot);
	return pvh_read(information, BOOT_REACH, boot);
}

void machine_take_memory(struct boot_info *boot)
{
	smp_trampoline_usable = boot_info_is_ram(boot, TRAMPOLINE, TRAMPOLINE + PAGE_SIZE);
	VERIFY(boot_info_take(boot, 0, LOW_MEMORY_TAKEN));
}

void machine_init(const struct boot_info *boot)
{
	/* The copy of the root pointer is part of the image, so the direct map has it too. */
	acpi_init(boot->has_root_pointer ? image_to_phys(boot->root_pointer) : 0,
		boot_info_ram_end(boot));
	apic_init_machine();
	apic_init_cpu();
	clock_init(boot->command_line);
}

static bool is_virtual(void)
{
	uint32_t leaf[4];
	cpuid(1, 0, leaf);
	return leaf[2] >> 31;
}

static void triple_fault(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) no_gates = { 0, 0 };
	__asm__ volatile("lidt %0; int3" : : "m"(no_gates));
}

void machine_power_off(void)
{
	outb(DEBUG_EXIT_PORT, DEBUG_EXIT_DONE);
	acpi_power_off();
	/* A hypervisor that does not know soft off ends its machine at a triple fault. */
	if (is_virtual() && !acpi.can_power_off)
		triple_fault();
}

void machine_report_panic(void)
{
	outb(DEBUG_EXIT_PORT, DEBUG_EXIT_PANIC); /* status 127: the runner reports a panic */
}
