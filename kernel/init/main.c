/* Boot: one call for each part of the kernel, in the order of their dependences; then the programs
 * of the boot image. */
#include "machine/machine.h"

#include "arch/cpu.h"
#include "arch/kernel_map.h"
#include "arch/random.h"
#include "core/boot_info.h"
#include "core/kcsan.h"
#include "core/log.h"
#include "core/percpu.h"
#include "core/string.h"
#include "dev/channel.h"
#include "dev/devices.h"
#include "dev/screen.h"
#include "dev/terminal.h"
#include "init/look.h"
#include "init/run.h"
#include "init/selftest.h"
#include "machine/cpus.h"
#include "mm/frame.h"
#include "proc/process.h"
#include "proc/reaper.h"
#include "proc/thread.h"
#include "sched/sched.h"

static struct boot_info boot;
extern char kernel_image_start[], kernel_image_end[];

static void read_loader_information(uint64_t information, uint64_t magic)
{
	const char *problem = machine_read_boot(information, magic, &boot);
	terminal_use_screen(&boot, BOOT_REACH);
	if (problem)
		panic("%s", problem);
}

/* A loader may put a small image into memory that the machine needs for something else. The image
 * is then moved. */
static void take_boot_image(struct memory_range kernel)
{
	if (!boot.image_size || boot_info_take(&boot, boot.image, boot.image_size))
		return;
	bool below = boot.image < kernel.start && boot.image_size <= kernel.start - boot.image;
	paddr_t place = below
		? boot_info_take_pages(&boot, (boot.image_size + PAGE_SIZE - 1) / PAGE_SIZE)
		: 0;
	if (!place)
		panic("the boot image lies where the kernel does");
	memcpy(phys_to_virt(place), phys_to_virt(boot.image), boot.image_size);
	boot.image = place;
}

/* Memory in use before there is an allocator. */
static void take_memory(void)
{
	struct memory_range kernel = { image_to_phys(kernel_image_start),
		image_to_phys(kernel_image_end) };
	machine_take_memory(&boot);
	VERIFY(boot_info_take(&boot, kernel.start, kernel.end - kernel.start));
	take_boot_image(kernel);
	/* The screen has its copy of the font by now, unless it lies above 4 GiB. */
	if (boot.font_size && !boot_info_take(&boot, boot.font, boot.font_size))
		boot.font_size = 0;
}

static void init_memory(void)
{
	struct memory_range screen = screen_memory(&boot.screen);
	uint64_t ram_end = boot_info_ram_end(&boot);
	take_memory();
	paddr_t pages = boot_info_take_pages(&boot, kernel_map_pages(ram_end, screen));
	if (!pages)
		panic("no memory for the kernel's page tables below 4 GiB");
	kernel_map_init(ram_end, screen, pages);
	kernel_map_activate();
	terminal_use_screen(&boot, BOOT_RAM_END_MAX);
	frames_init(boot.usable, boot.usable_count, boot.taken, boot.taken_count);
}

static void warn_of_leaks(void)
{
	const char *leaks = cpu_leaks();
	if (leaks)
		log_printf("capos: programs can read the kernel's memory on this CPU (%s); run "
			   "only programs on it that trust each other",
			leaks);
}

static void run(void *unused)
{
	(void)unused;
	warn_of_leaks();
	cpus_start(boot.command_line);
	kcsan_begin();
	channel_on_key(process_key);
	channel_on_look(look_wanted);
	devices_init(boot.command_line);
	selftest_run(boot.command_line);
	run_programs(boot.image_size ? phys_to_virt(boot.image) : NULL, boot.image_size,
		boot.command_line);
}

/* Interrupts are off, the boot tables and the boot stack in use. */
_Noreturn void kernel_start(uint64_t information, uint64_t magic)
{
	/* Locks need the record of their CPU. */
	cpu_begin(&percpus[0]);
	log_set_output(terminal_write);
	cpu_detect();
	/* Only functions that never return may be on the stack when the guard changes. Its lowest
	 * byte stays zero, which stops string overruns. */
	__stack_chk_guard ^= cpu_boot_random() << 8;
	read_loader_information(information, magic);
	const char *problem = cpu_unsupported();
	if (problem)
		panic("this CPU cannot run capOS: %s", problem);
	init_memory();
	cpu_prepare(&percpus[0]);
	cpu_setup(&percpus[0]);
	traps_init();
	machine_init(&boot);
	sched_init_cpu(&percpus[0]);
	reaper_init();
	struct thread *thread;
	if (thread_create(NULL, "main", run, NULL, &thread) != STATUS_OK)
		panic("no memory for the first thread");
	thread_start(thread);
	sched_idle();
}
