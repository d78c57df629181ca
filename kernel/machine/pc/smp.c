/* Starting the other CPUs. ACPI's tables name them. Without tables QEMU's firmware configuration
 * device (docs/specs/fw_cfg, item 5) gives their number, and one broadcast wakes all. Without
 * either the kernel uses one CPU. The CPUs number themselves on the trampoline. */
#include "machine/cpus.h"

#include "arch/cpu.h"
#include "arch/kernel_map.h"
#include "arch/ports.h"
#include "core/percpu.h"
#include "machine/pc/acpi.h"
#include "machine/pc/apic.h"
#include "arch/x86_64/asm.h"
#include "arch/impl/x86.h"
#include "machine/pc/clock.h"
#include "machine/pc/smp.h"
#include "core/log.h"
#include "core/panic.h"
#include "core/string.h"
#include "dev/command_line.h"
#include "mm/frame.h"
#include "machine/clock.h"
#include "sched/sched.h"

#define FW_CFG_SELECT 0x510
#define FW_CFG_DATA 0x511
#define FW_CFG_SIGNATURE 0
#define FW_CFG_CPUS 5
#define AP_STACK_ORDER 2
#define INIT_TO_STARTUP_NS 200000ul
#define START_TIMEOUT_NS 2000000000ul
#define NS_PER_MS 1000000ul

bool smp_trampoline_usable;
extern char trampoline_start[], trampoline_end[];
uint64_t ap_stacks[CAPOS_CPUS_MAX];

/* How far a CPU has started. CPU 0 sets LEFT_OUT when it has waited long enough, and the CPU sets
 * READY when its own state is complete. The first of the two that replaces STARTING decides. */
enum stage { STAGE_STARTING, STAGE_READY, STAGE_LEFT_OUT };

static uint32_t stages[CAPOS_CPUS_MAX]; /* enum stage; atomic */
static uint64_t online = 1; /* a bit for each CPU; written by CPU 0, once more at most */
static unsigned possible = 1;
static uint64_t late_ns; /* see arrive_late() */

uint64_t cpus_online(void)
{
	return __atomic_load_n(&online, __ATOMIC_ACQUIRE);
}

unsigned cpus_online_count(void)
{
	unsigned count = 0;
	for (uint64_t left = cpus_online(); left; left &= left - 1)
		count++;
	return count;
}

unsigned cpus_possible(void)
{
	return possible;
}

/* True for the side that decides. */
static bool stage_replace(unsigned id, uint32_t current, enum stage next)
{
	return __atomic_compare_exchange_n(
		&stages[id], &current, next, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
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

/* Without a pause, because no CPU that has started waits for this one, and an emulator that runs
 * CPUs in turns ends one at each. */
static void wait_ns(uint64_t ns)
{
	uint64_t end = clock_now_ns() + ns;
	while (clock_now_ns() < end)
		;
}

/* Programs read the time-stamp counter on any CPU, so all counters must agree. Before a CPU runs
 * anything it stamps a shared word in turn with the others, many times. A stamp behind the one
 * before it shows that they do not agree. Time then comes from elsewhere, or the machine runs on
 * one CPU. */
#define COUNTER_STAMPS 500

static uint32_t counter_lock;
static uint64_t latest_stamp;
static bool counters_disagree;

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

/* Makes the debug kernel's CPU 1 arrive late, as a busy host does. */
static void arrive_late(uint64_t id)
{
	if (id == 1)
		wait_ns(late_ns);
}

/* Returns when CPU 0 has taken this CPU into the mask, and never if CPU 0 did not wait so long. */
static void await_admission(unsigned id)
{
	bool ready = stage_replace(id, STAGE_STARTING, STAGE_READY);
	while (ready && !(cpus_online() >> id & 1)) {
		ready = __atomic_load_n(&stages[id], __ATOMIC_SEQ_CST) == STAGE_READY;
		cpu_relax();
	}
	if (!ready)
		cpu_stop();
}

/* First C code of an application processor; its stack becomes its idle thread's for good. Nothing
 * is allocated here and no lock is taken, because CPU 0 may have gone on without this one. */
void ap_start(uint64_t id)
{
	struct percpu *cpu = &percpus[id];
	arrive_late(id);
	cpu_setup(cpu);
	traps_init();
	kernel_map_activate();
	apic_init_cpu();
	sched_init_cpu(cpu);
	for (int i = 0; i < COUNTER_STAMPS; i++)
		stamp_counter();
	await_admission((unsigned)id);
	apic_timer_mode(); /* the counters' agreement decides it */
	if (panic_begun())
		panic_stop_cpu((uint64_t)__builtin_return_address(0));
	sched_idle();
}

static bool all_ready(unsigned count)
{
	for (unsigned id = 1; id < count; id++)
		if (__atomic_load_n(&stages[id], __ATOMIC_SEQ_CST) == STAGE_STARTING)
			return false;
	return true;
}

/* CPU 0 stamps too until the others are ready or have had their time. It pauses between two stamps,
 * without the lock: an emulator that runs CPUs in turns might else end each of its turns where it
 * has the lock, and the others would never get it. A CPU that is not ready by then is left out for
 * good, because everything that is counted by CPUs is made for those that are. */
static uint64_t admit_cpus(unsigned count)
{
	uint64_t ready = 1, limit = clock_now_ns() + START_TIMEOUT_NS;
	while (!all_ready(count) && clock_now_ns() < limit) {
		stamp_counter();
		cpu_relax();
	}
	for (unsigned id = 1; id < count; id++)
		if (!stage_replace(id, STAGE_STARTING, STAGE_LEFT_OUT))
			ready |= cpu_bit(id);
	if (!counters_disagree || clock_distrust_tsc("the CPUs' time-stamp counters disagree"))
		return ready;
	log_printf("capos: running on one CPU");
	for (unsigned id = 1; id < count; id++)
		__atomic_store_n(&stages[id], STAGE_LEFT_OUT, __ATOMIC_SEQ_CST);
	return 1;
}

/* Firmware may keep CPUs switched off. Where it names those to use, only they are woken. */
static void wake_cpus(void)
{
	const uint32_t all_others = APIC_ALL_OTHERS, self = apic_id();
	const uint32_t *targets = acpi.cpu_count ? acpi.apic_ids : &all_others;
	unsigned count = acpi.cpu_count ? acpi.cpu_count : 1;
	for (unsigned i = 0; i < count; i++)
		if (targets[i] != self)
			apic_send_init(targets[i]);
	wait_ns(INIT_TO_STARTUP_NS);
	for (unsigned i = 0; i < count; i++)
		if (targets[i] != self)
			apic_send_startup(targets[i], TRAMPOLINE >> 12);
}

void cpus_start(const char *command_line)
{
	unsigned count = smp_trampoline_usable ? count_cpus() : 1;
	if (!smp_trampoline_usable && acpi.cpu_count > 1)
		log_printf("capos: firmware keeps the memory where processors begin; running on "
			   "one CPU");
	if (count == 1)
		return;
#ifdef CAPOS_DEBUG
	late_ns = command_line_number(command_line, "late-cpu", 0) * NS_PER_MS;
#endif
	(void)command_line;
	for (unsigned id = 1; id < count; id++) {
		paddr_t stack = frame_alloc(KERNEL_PAYS, AP_STACK_ORDER, 0);
		if (!stack)
			panic("no memory for the stack of CPU %u", id);
		ap_stacks[id] = (uint64_t)phys_to_virt(stack) + (PAGE_SIZE << AP_STACK_ORDER) - 16;
		percpus[id].id = id;
		cpu_prepare(&percpus[id]);
	}
	possible = count;
	memcpy(phys_to_virt(TRAMPOLINE), trampoline_start,
		(size_t)(trampoline_end - trampoline_start));
	wake_cpus();
	__atomic_store_n(&online, admit_cpus(count), __ATOMIC_SEQ_CST);
	if (cpus_online_count() < count)
		log_printf("capos: %u of %u CPUs started", cpus_online_count(), count);
	clock_set_cpus(cpus_online_count());
}
