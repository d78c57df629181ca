/* Starting the other CPUs. ACPI's tables name them; without tables QEMU's firmware configuration
 * device (docs/specs/fw_cfg, item 5) says how many there are, and one broadcast wakes all; without
 * either the machine has one CPU as far as the kernel is concerned. They number themselves on the
 * trampoline. */
#include "machine/acpi.h"
#include "machine/apic.h"
#include "arch/x86_64/arch.h"
#include "arch/x86_64/asm.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/percpu.h"
#include "sched/timer.h"
#include "core/log.h"
#include "core/string.h"
#include "mm/frame.h"
#include "sched/clock.h"
#include "sched/sched.h"

#define FW_CFG_SELECT 0x510
#define FW_CFG_DATA 0x511
#define FW_CFG_SIGNATURE 0
#define FW_CFG_CPUS 5
#define AP_STACK_ORDER 2
#define INIT_TO_STARTUP_NS 200000ul
#define START_TIMEOUT_NS 2000000000ul

extern char trampoline_start[], trampoline_end[];
uint64_t ap_stacks[CAPOS_CPUS_MAX];
static unsigned online = 1;

unsigned cpus_online(void)
{
	return __atomic_load_n(&online, __ATOMIC_ACQUIRE);
}

static uint8_t fw_cfg_byte(void)
{
	return inb(FW_CFG_DATA);
}

static unsigned count_cpus(void)
{
	if (acpi.cpu_count)
		return acpi.cpu_count;
	outw(FW_CFG_SELECT, FW_CFG_SIGNATURE);
	for (const char *expect = "QEMU"; *expect; expect++)
		if (fw_cfg_byte() != (uint8_t)*expect)
			return 1;
	outw(FW_CFG_SELECT, FW_CFG_CPUS);
	unsigned low = fw_cfg_byte();
	unsigned count = low | (unsigned)fw_cfg_byte() << 8;
	return count > CAPOS_CPUS_MAX ? CAPOS_CPUS_MAX : count;
}

static void wait_ns(uint64_t ns)
{
	uint64_t end = clock_now_ns() + ns;
	while (clock_now_ns() < end)
		cpu_relax();
}

/* Programs read the time-stamp counter without asking which CPU they are on, so all must agree:
 * before anything else every CPU stamps a shared word in turn, many times, and a stamp that is
 * behind the one before it shows that they do not. Then time comes from elsewhere, or the machine
 * runs on one CPU. */
#define COUNTER_STAMPS 500

enum { VERDICT_NONE, VERDICT_RUN, VERDICT_STOP };

static uint32_t counter_lock;
static uint64_t latest_stamp;
static bool counters_disagree;
static unsigned tested;
static uint32_t verdict;

static void stamp_counter(void)
{
	while (__atomic_exchange_n(&counter_lock, 1, __ATOMIC_ACQUIRE))
		cpu_relax();
	uint64_t now = rdtsc();
	if (now < latest_stamp)
		counters_disagree = true;
	else
		latest_stamp = now;
	__atomic_store_n(&counter_lock, 0, __ATOMIC_RELEASE);
}

/* Returns when this CPU may run. */
static void test_counter(void)
{
	for (int i = 0; i < COUNTER_STAMPS; i++)
		stamp_counter();
	__atomic_add_fetch(&tested, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&verdict, __ATOMIC_ACQUIRE))
		cpu_relax();
	while (verdict == VERDICT_STOP)
		__asm__ volatile("cli; hlt");
}

/* CPU 0 stamps along until the others have done; CPUs that did not start are left out. */
static void judge_counters(unsigned others)
{
	uint64_t limit = clock_now_ns() + START_TIMEOUT_NS;
	while (__atomic_load_n(&tested, __ATOMIC_ACQUIRE) < others && clock_now_ns() < limit)
		stamp_counter();
	bool run =
		!counters_disagree || clock_distrust_tsc("the CPUs' time-stamp counters disagree");
	if (!run)
		log_printf("capos: running on one CPU");
	__atomic_store_n(&verdict, run ? VERDICT_RUN : VERDICT_STOP, __ATOMIC_RELEASE);
}

/* First C code of an application processor; its stack becomes its idle thread's for good. */
void ap_start(uint64_t number)
{
	struct percpu *cpu = &percpus[number];
	test_counter();
	cpu_setup(cpu);
	kernel_map_activate();
	traps_init();
	apic_init_cpu();
	cpu->apic_id = apic_id();
	sched_init_cpu(cpu);
	__atomic_add_fetch(&online, 1, __ATOMIC_RELEASE);
	sched_idle();
}

/* Firmware may keep CPUs switched off: where it names those to use, only they are woken. */
static void wake_cpus(void)
{
	const uint32_t everyone = APIC_ALL_OTHERS, self = percpus[0].apic_id;
	const uint32_t *targets = acpi.cpu_count ? acpi.apic_ids : &everyone;
	unsigned count = acpi.cpu_count ? acpi.cpu_count : 1;
	for (unsigned i = 0; i < count; i++)
		if (targets[i] != self)
			apic_send_init(targets[i]);
	wait_ns(INIT_TO_STARTUP_NS);
	for (unsigned i = 0; i < count; i++)
		if (targets[i] != self)
			apic_send_startup(targets[i], TRAMPOLINE >> 12);
}

void smp_start(void)
{
	unsigned count = count_cpus();
	if (count == 1)
		return;
	for (unsigned i = 1; i < count; i++) {
		paddr_t stack = frame_alloc(AP_STACK_ORDER, 0);
		if (!stack)
			panic("no memory for the stack of CPU %u", i);
		ap_stacks[i] = (uint64_t)phys_to_virt(stack) + (PAGE_SIZE << AP_STACK_ORDER) - 16;
		percpus[i].self = &percpus[i];
		percpus[i].id = i;
	}
	memcpy(phys_to_virt(TRAMPOLINE), trampoline_start,
		(size_t)(trampoline_end - trampoline_start));
	wake_cpus();
	judge_counters(count - 1);
	if (verdict == VERDICT_STOP)
		return;
	uint64_t limit = clock_now_ns() + START_TIMEOUT_NS;
	while (cpus_online() < count && clock_now_ns() < limit)
		cpu_relax();
	if (cpus_online() < count)
		log_printf("capos: %u of %u CPUs started", cpus_online(), count);
	clock_set_cpus(cpus_online());
}
