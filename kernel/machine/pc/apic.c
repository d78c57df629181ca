/* The local APIC by memory (xAPIC) or by MSR (x2APIC), as the CPU has it, and the first I/O APIC
 * for device lines, all of which go to CPU 0. */
#include "machine/pc/apic.h"

#include "arch/cpu.h"
#include "arch/ports.h"
#include "core/percpu.h"
#include "machine/cpus.h"
#include "machine/pc/acpi.h"
#include "arch/impl/x86.h"
#include "arch/tlb.h"
#include "core/log.h"
#include "machine/interrupts.h"
#include "mm/frame.h"
#include "sched/sched.h"

#define LOCAL_APIC 0xfee00000ul
#define IO_APIC_USUAL 0xfec00000u /* where there are no tables to say */
#define MSR_APIC_BASE 0x1bu
#define MSR_X2APIC 0x800u
#define MSR_TSC_DEADLINE 0x6e0u

enum {
	REG_ID = 0x20,
	REG_EOI = 0xb0,
	REG_SPURIOUS = 0xf0,
	REG_ICR = 0x300,
	REG_ICR_HIGH = 0x310,
	REG_LVT_TIMER = 0x320,
	REG_LVT_LINT0 = 0x350,
	REG_LVT_LINT1 = 0x360,
	REG_LVT_ERROR = 0x370,
	REG_TIMER_COUNT = 0x380,
	REG_TIMER_CURRENT = 0x390,
	REG_TIMER_DIVIDE = 0x3e0
};

#define LVT_MASKED 0x10000u
#define LVT_NMI 0x400u
#define LVT_TSC_DEADLINE 0x40000u
#define ICR_INIT 0x4500u
#define ICR_STARTUP 0x4600u
#define ICR_NMI 0x4400u
#define ICR_FIXED 0x4000u
#define ICR_ALL_OTHERS 0xc0000u
#define ICR_BUSY 0x1000u
#define IO_ACTIVE_LOW 0x2000u
#define IO_LEVEL 0x8000u
#define HANDLERS_PER_LINE 4u

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

/* Set at boot, with interrupts off. */
static struct interrupt_handler device_handlers[DEVICE_VECTORS][HANDLERS_PER_LINE];
static uint32_t line_entries[DEVICE_LINES]; /* the lower half of each, as it is when not masked */
static unsigned messages_used;
static uint32_t apic_ids[CAPOS_CPUS_MAX]; /* written by each CPU when it arrives */
static struct spinlock io_lock = SPINLOCK_INIT(INTERRUPTS); /* the I/O APIC's two registers */

static volatile uint32_t *local_register(unsigned offset)
{
	return (volatile uint32_t *)((char *)phys_to_virt(LOCAL_APIC) + offset);
}

static uint32_t local_read(unsigned offset)
{
	if (cpu_features.x2apic)
		return (uint32_t)rdmsr(MSR_X2APIC + offset / 16);
	return *local_register(offset);
}

static void local_write(unsigned offset, uint32_t value)
{
	if (cpu_features.x2apic)
		wrmsr(MSR_X2APIC + offset / 16, value);
	else
		*local_register(offset) = value;
}

static void send_command(uint32_t destination, uint32_t command)
{
	if (cpu_features.x2apic) {
		/* Unlike one to the APIC's page, this write does not wait for earlier stores to
		 * become visible: Intel SDM volume 3, "MSR Access in x2APIC Mode". The interrupted
		 * CPU has to see them. */
		__asm__ volatile("mfence; lfence" : : : "memory");
		wrmsr(MSR_X2APIC + REG_ICR / 16, (uint64_t)destination << 32 | command);
		return;
	}
	while (*local_register(REG_ICR) & ICR_BUSY)
		cpu_relax();
	*local_register(REG_ICR_HIGH) = destination << 24;
	*local_register(REG_ICR) = command;
}

static void io_write(unsigned index, uint32_t value)
{
	volatile uint32_t *base = phys_to_virt(acpi.io_apic ? acpi.io_apic : IO_APIC_USUAL);
	spin_lock(&io_lock);
	base[0] = index;
	base[4] = value;
	spin_unlock(&io_lock);
}

void apic_init_machine(void)
{
	/* 8259: initialise to vectors of our own, so that a spurious interrupt is not taken for an
	 * exception, then mask all. */
	outb(0x20, 0x11);
	outb(0xa0, 0x11);
	outb(0x21, VECTOR_PIC);
	outb(0xa1, VECTOR_PIC + 8);
	outb(0x21, 4);
	outb(0xa1, 2);
	outb(0x21, 1);
	outb(0xa1, 1);
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	for (unsigned line = 0; line < DEVICE_LINES; line++)
		io_write(0x10 + 2 * line, LVT_MASKED);
}

void apic_init_cpu(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE) | 0x800;
	wrmsr(MSR_APIC_BASE, base);
	if (cpu_features.x2apic)
		wrmsr(MSR_APIC_BASE, base | 0x400);
	local_write(REG_SPURIOUS, 0x100 | VECTOR_SPURIOUS);
	local_write(REG_LVT_LINT0, LVT_MASKED);
	local_write(REG_LVT_LINT1,
		LVT_NMI); /* as PCs are wired: the operator's button, or a parity error */
	local_write(REG_LVT_ERROR, LVT_MASKED);
	local_write(REG_TIMER_DIVIDE, 0xb); /* by 1 */
	apic_timer_mode();
	apic_ids[cpu_id()] = apic_id();
}

void apic_timer_mode(void)
{
	local_write(
		REG_LVT_TIMER, VECTOR_TIMER | (cpu_features.tsc_deadline ? LVT_TSC_DEADLINE : 0));
}

uint32_t apic_id(void)
{
	return cpu_features.x2apic ? local_read(REG_ID) : local_read(REG_ID) >> 24;
}

static void end_of_interrupt(void)
{
	local_write(REG_EOI, 0);
}

void cpu_interrupt(unsigned cpu, enum cpu_interrupt why)
{
	unsigned vector = why == CPU_INTERRUPT_TLB ? VECTOR_TLB : VECTOR_RESCHED;
	send_command(apic_ids[cpu], ICR_FIXED | vector);
}

void apic_send_init(uint32_t target)
{
	send_command(target == APIC_ALL_OTHERS ? 0 : target,
		(target == APIC_ALL_OTHERS ? ICR_ALL_OTHERS : 0) | ICR_INIT);
}

void apic_send_startup(uint32_t target, unsigned page)
{
	send_command(target == APIC_ALL_OTHERS ? 0 : target,
		(target == APIC_ALL_OTHERS ? ICR_ALL_OTHERS : 0) | ICR_STARTUP | page);
}

/* To each CPU by its id. One that is starting, or was left out, may have no gate for it yet, and a
 * triple fault would end the machine before the report. */
void cpus_interrupt_to_stop(void)
{
	unsigned self = cpu_id();
	for (unsigned id = cpu_next(cpus_online(), self); id != self;
		id = cpu_next(cpus_online(), id))
		send_command(apic_ids[id], ICR_NMI);
}

void apic_timer_start(uint32_t count)
{
	local_write(REG_TIMER_COUNT, count);
}

uint32_t apic_timer_current(void)
{
	return local_read(REG_TIMER_CURRENT);
}

void apic_timer_deadline(uint64_t tsc)
{
	wrmsr(MSR_TSC_DEADLINE, tsc);
}

static bool register_line(unsigned gsi, uint32_t mode, struct interrupt_handler handler)
{
	unsigned place = 0;
	if (gsi >= DEVICE_LINES)
		return false;
	while (place < HANDLERS_PER_LINE && device_handlers[gsi][place].run)
		place++;
	if (place == HANDLERS_PER_LINE || (place && !(mode & IO_LEVEL)))
		return false;
	device_handlers[gsi][place] = handler;
	io_write(0x11 + 2 * gsi, apic_id() << 24);
	line_entries[gsi] = (VECTOR_DEVICE + gsi) | mode;
	io_write(0x10 + 2 * gsi, line_entries[gsi]);
	return true;
}

bool interrupt_register(unsigned gsi, bool level, struct interrupt_handler handler)
{
	return register_line(gsi, level ? IO_LEVEL : 0, handler);
}

bool isa_interrupt_register(unsigned line, struct interrupt_handler handler)
{
	const struct acpi_isa_line *isa = &acpi.isa[line];
	return register_line(isa->gsi,
		(isa->level ? IO_LEVEL : 0) | (isa->active_low ? IO_ACTIVE_LOW : 0), handler);
}

void interrupt_mask_line(unsigned gsi, bool masked)
{
	if (gsi < DEVICE_LINES && device_handlers[gsi][0].run && !device_handlers[gsi][1].run)
		io_write(0x10 + 2 * gsi, line_entries[gsi] | (masked ? LVT_MASKED : 0));
}

bool interrupt_register_message(struct interrupt_handler handler, struct interrupt_message *message)
{
	if (messages_used == DEVICE_MESSAGES)
		return false;
	unsigned number = DEVICE_LINES + messages_used++;
	device_handlers[number][0] = handler;
	*message = (struct interrupt_message){ .address = LOCAL_APIC | (uint64_t)apic_id() << 12,
		.data = VECTOR_DEVICE + number };
	return true;
}

static void device_interrupt(unsigned number)
{
	const struct interrupt_handler *handlers = device_handlers[number];
	for (unsigned place = 0; place < HANDLERS_PER_LINE && handlers[place].run; place++)
		handlers[place].run(handlers[place].argument);
}

void machine_interrupt(unsigned vector)
{
	if (vector == VECTOR_TIMER) {
		end_of_interrupt();
		sched_timer();
	} else if (vector == VECTOR_RESCHED) {
		end_of_interrupt();
		percpu()->resched |= RESCHED_LOOK;
	} else if (vector == VECTOR_TLB) {
		end_of_interrupt();
		tlb_serve();
	} else if (vector >= VECTOR_DEVICE && vector < VECTOR_DEVICE + DEVICE_VECTORS) {
		device_interrupt(vector - VECTOR_DEVICE);
		end_of_interrupt();
	} else if (vector != VECTOR_SPURIOUS &&
		!(vector >= VECTOR_PIC && vector < VECTOR_PIC + 16)) {
		panic("interrupt %u, which has no handler", vector);
	}
}
