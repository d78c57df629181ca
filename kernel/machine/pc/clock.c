/* Time from the time-stamp counter, and the one-shot timer behind deadlines.
 *
 * The counter's rate comes, in order, from: the hypervisor's timing leaf (CPUID 0x40000010); under
 * QEMU's TCG from the local APIC timer, whose clock there is exactly 1 GHz; on a bare machine the
 * processor's own statement (CPUID 0x15); the HPET; the PIT.
 *
 * The counter is not trusted where a bare machine does not claim a constant rate (CPUID
 * 0x80000007), where smp.c sees one CPU's counter behind another's, or with the parameter
 * `clock=hpet`. Time then comes from the HPET, which only the kernel reads. The clock page says so
 * by nsPerTick 0, and programs call Timer.now. Without an HPET a machine whose counters disagree
 * runs on one CPU. */
#include "machine/clock.h"

#include "arch/cpu.h"
#include "arch/ports.h"
#include "machine/pc/apic.h"
#include "arch/address.h"
#include "arch/impl/x86.h"
#include "machine/pc/hpet.h"
#include "machine/pc/clock.h"
#include "core/log.h"
#include "core/string.h"
#include "dev/command_line.h"

#define NS_PER_S 1000000000ul
#define TCG_APIC_HZ 1000000000ul
#define PIT_HZ 1193182ul
#define PIT_CHANNEL_0 0x40
#define PIT_CONTROL 0x43
#define PIT_POLLS 1000000u /* a port takes about a microsecond */

static union {
	struct capos_clock_page page;
	uint8_t bytes[4096];
} clock_page __attribute__((aligned(4096)));

static uint64_t apic_hz;
static uint64_t hpet_base;    /* its reading at monotonic time ns_base */
static uint64_t ticks_per_ns; /* 32.32, for deadlines in TSC */

uint64_t clock_ticks(void)
{
	return rdtsc();
}

static uint64_t scale(uint64_t value, uint64_t factor)
{
	uint64_t low, high;
	__asm__("mulq %3" : "=a"(low), "=d"(high) : "a"(value), "r"(factor));
	return high << 32 | low >> 32;
}

/* value * 2^32 / divisor, for value below 2^64 / 2^32 * divisor; the quotient must fit. */
static uint64_t ratio(uint64_t value, uint64_t divisor)
{
	uint64_t quotient, remainder;
	__asm__("divq %4"
		: "=a"(quotient), "=d"(remainder)
		: "a"(value << 32), "d"(value >> 32), "r"(divisor));
	return quotient;
}

uint64_t clock_now_ns(void)
{
	const struct capos_clock_page *page = &clock_page.page;
	if (__builtin_expect(!page->ns_per_tick, false))
		return page->ns_base + scale(hpet_read() - hpet_base, hpet_ns_per_tick());
	return scale(rdtsc() - page->tsc_base, page->ns_per_tick);
}

bool clock_distrust_tsc(const char *why)
{
	struct capos_clock_page *page = &clock_page.page;
	if (!page->ns_per_tick)
		return true;
	if (!hpet_start()) {
		log_printf("capos: %s, and there is no HPET", why);
		return false;
	}
	log_printf("capos: %s; the clock is the HPET", why);
	/* Before other CPUs and programs run, so the page has no reader meanwhile. */
	page->ns_base = clock_now_ns();
	hpet_base = hpet_read();
	page->ns_per_tick = 0;
	cpu_features.tsc_deadline = false;
	apic_timer_mode();
	return true;
}

uint64_t clock_page_frame(void)
{
	return image_to_phys(&clock_page);
}

int64_t clock_wall_offset_ns(void)
{
	return clock_page.page.wall_offset;
}

void clock_set_wall(int64_t unix_ns)
{
	clock_page.page.sequence++;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	clock_page.page.wall_offset = unix_ns - (int64_t)clock_now_ns();
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	clock_page.page.sequence++;
}

void clock_set_cpus(unsigned count)
{
	clock_page.page.cpu_count = count;
}

struct sample {
	uint64_t tsc, apic;
};

/* Reads both counters at one moment: the fastest of several tries, since a virtual CPU may lose its
 * host CPU between any two reads. */
static struct sample sample_counters(void)
{
	struct sample best = { 0, 0 };
	uint64_t shortest = UINT64_MAX;
	for (int i = 0; i < 16; i++) {
		uint64_t before = rdtsc();
		uint64_t apic = apic_timer_current();
		uint64_t took = rdtsc() - before;
		if (took >= shortest)
			continue;
		shortest = took;
		best = (struct sample){ before + took / 2, apic };
	}
	return best;
}

/* Without a pause between: an emulator leaves its loop at each, and no CPU waits for this one.
 */

/* TSC rate against the APIC timer running at a known rate, over 2 ms. */
static uint64_t tsc_hz_by_apic(uint64_t hz)
{
	apic_timer_start(UINT32_MAX);
	struct sample start = sample_counters();
	while (start.apic - apic_timer_current() < hz / 500)
		;
	struct sample end = sample_counters();
	apic_timer_start(0);
	return (end.tsc - start.tsc) * (hz / 1000) / (start.apic - end.apic) * 1000;
}

/* Both rates against the HPET, over 10 ms. */
static uint64_t tsc_hz_by_hpet(void)
{
	const uint64_t wait_ns = NS_PER_S / 100;
	uint64_t first = hpet_read(), passed_ns;
	apic_timer_start(UINT32_MAX);
	uint64_t start = rdtsc();
	while ((passed_ns = scale(hpet_read() - first, hpet_ns_per_tick())) < wait_ns)
		;
	uint64_t tsc = rdtsc() - start;
	apic_hz = (uint64_t)(UINT32_MAX - apic_timer_current()) * NS_PER_S / passed_ns;
	apic_timer_start(0);
	return tsc * NS_PER_S / passed_ns;
}

static uint16_t pit_count(void)
{
	outb(PIT_CONTROL, 0x00); /* latch channel 0 */
	uint8_t low = inb(PIT_CHANNEL_0);
	return (uint16_t)(low | inb(PIT_CHANNEL_0) << 8);
}

/* Both rates against PIT channel 0 counting down from the top (Intel 8254: mode 0), over 10 ms; 0
 * when it stands still, as where it is switched off. Its interrupt is masked. Channel 2 would need
 * a port that not every machine has. */
static uint64_t tsc_hz_by_pit(void)
{
	unsigned polls = 0;
	outb(PIT_CONTROL, 0x30);
	outb(PIT_CHANNEL_0, 0xff);
	outb(PIT_CHANNEL_0, 0xff);
	uint16_t first = pit_count(), begin = first, ticks = 0;
	while (begin == first && polls++ < PIT_POLLS)
		begin = pit_count();
	apic_timer_start(UINT32_MAX);
	uint64_t start = rdtsc();
	while (ticks < PIT_HZ / 100 && polls++ < PIT_POLLS)
		ticks = (uint16_t)(begin - pit_count());
	uint64_t tsc = rdtsc() - start, apic = UINT32_MAX - apic_timer_current();
	apic_timer_start(0);
	if (polls >= PIT_POLLS)
		return 0;
	apic_hz = apic * PIT_HZ / ticks;
	return tsc * PIT_HZ / ticks;
}

/* Intel SDM volume 2, CPUID leaf 15H: crystal rate and the counter's multiple of it. The APIC timer
 * runs at the crystal's rate then (volume 3, 11.5.4). 0 when the processor does not say. */
static uint64_t tsc_hz_by_processor(void)
{
	uint32_t r[4];
	cpuid(0, 0, r);
	if (r[0] < 0x15)
		return 0;
	cpuid(0x15, 0, r);
	if (!r[0] || !r[1] || !r[2])
		return 0;
	apic_hz = r[2];
	return (uint64_t)r[2] * r[1] / r[0];
}

/* A hypervisor keeps the counter's rate constant, whether or not it claims to. */
static bool is_virtual(void)
{
	uint32_t r[4];
	cpuid(1, 0, r);
	return r[2] >> 31;
}

static bool hypervisor_is(const char *signature, uint32_t *leaves)
{
	uint32_t r[4];
	if (!is_virtual())
		return false;
	cpuid(0x40000000, 0, r);
	*leaves = r[0];
	return !memcmp(&r[1], signature, 12);
}

void clock_init(const char *command_line)
{
	uint32_t r[4], leaves = 0;
	uint64_t hz = 0;
	if (hypervisor_is("TCGTCGTCGTCG", &leaves)) {
		apic_hz = TCG_APIC_HZ;
		hz = tsc_hz_by_apic(apic_hz);
	} else if (hypervisor_is("KVMKVMKVM\0\0\0", &leaves) && leaves >= 0x40000010) {
		cpuid(0x40000010, 0, r);
		hz = (uint64_t)r[0] * 1000;
		apic_hz = (uint64_t)r[1] * 1000;
	}
	if (!hz || !apic_hz)
		hz = is_virtual() ? 0 : tsc_hz_by_processor();
	if (!hz)
		hz = hpet_start() ? tsc_hz_by_hpet() : tsc_hz_by_pit();
	if (!hz)
		panic("no clock of a known rate runs here");
	clock_page.page.ns_per_tick = ratio(NS_PER_S, hz);
	clock_page.page.tsc_base = rdtsc();
	clock_page.page.cpu_count = 1;
	ticks_per_ns = ratio(hz, NS_PER_S);
	if (command_line_has(command_line, "clock", "hpet"))
		clock_distrust_tsc(
			"the command line asks for another clock than the time-stamp counter");
	else if (!is_virtual() && !cpu_features.invariant_tsc)
		clock_distrust_tsc("the time-stamp counter's rate may change");
}

uint64_t timer_program(uint64_t deadline_ns)
{
	if (deadline_ns == UINT64_MAX) {
		cpu_features.tsc_deadline ? apic_timer_deadline(0) : apic_timer_start(0);
		return deadline_ns;
	}
	uint64_t now = clock_now_ns(), due = deadline_ns > now ? deadline_ns : now;
	uint64_t wait_ns = due - now;
	if (wait_ns > NS_PER_S)
		/* The counter has 32 bits, and a program's deadline may be any number. */
		wait_ns = NS_PER_S;
	if (cpu_features.tsc_deadline) {
		apic_timer_deadline(rdtsc() + scale(wait_ns, ticks_per_ns) + 1);
		return due;
	}
	uint64_t count = wait_ns * (apic_hz / 1000) / 1000000 + 1;
	apic_timer_start((uint32_t)(count > UINT32_MAX ? UINT32_MAX : count));
	return due;
}
