/* The end of the machine by a mistake of the kernel.
 *
 * A panic stops the other CPUs, prints what was expected and where, and walks the frame-pointer
 * chain; symbols come from the table the second link pass puts into the image (kernel.mk), so that
 * the report reads without any tool. */
#include "core/panic.h"

#include "arch/cpu.h"
#include "arch/address.h"
#include "core/log.h"
#include "core/percpu.h"
#include "debug/symbols.h"
#include "machine/cpus.h"
#include "machine/interrupts.h"
#include "machine/machine.h"
#include "proc/process.h"
#include "machine/clock.h"
#include "sched/thread.h"

#define STOP_POLLS 1000000u

static bool panicking;

static bool is_kernel_address(uint64_t address)
{
	return address >= KERNEL_START;
}

static void print_place(uint64_t place)
{
	uint64_t offset;
	const char *name = symbol_lookup(place, &offset);
	if (is_kernel_address(place))
		log_printf("  [<%016lx>] %s+0x%lx", place, name ? name : "?", offset);
	else
		log_printf("  [<%016lx>] the program", place);
}

/* For a return address the call's last byte is shown, because a call that never returns may be the
 * last instruction of its function. A program's frame pointer may hold any value and is not
 * followed. */
void backtrace_print(uint64_t place, uint64_t base)
{
	for (int depth = 0; depth < 32; depth++) {
		print_place(place);
		if (!is_kernel_address(place) || !is_kernel_address(base) || base % 8)
			break;
		const uint64_t *frame = (const uint64_t *)base;
		place = frame[1] - 1;
		if (frame[0] <= base || !is_kernel_address(place))
			break;
		base = frame[0];
	}
}

void backtrace_take(uint64_t *calls, unsigned count)
{
	uint64_t base = *(uint64_t *)__builtin_frame_address(0);
	for (unsigned i = 0; i < count; i++) {
		bool known = is_kernel_address(base) && base % 8 == 0;
		const uint64_t *frame = (const uint64_t *)base;
		calls[i] = known && is_kernel_address(frame[1]) ? frame[1] - 1 : 0;
		base = calls[i] && frame[0] > base ? frame[0] : 0;
	}
}

void panic_stop_cpu(uint64_t place)
{
	struct percpu *cpu = percpu();
	if (!cpu->stopped_at)
		__atomic_store_n(&cpu->stopped_at, place, __ATOMIC_RELEASE);
	cpu_stop();
}

bool panic_begun(void)
{
	return __atomic_load_n(&panicking, __ATOMIC_SEQ_CST);
}

void panic_begin(uint64_t place)
{
	if (__atomic_exchange_n(&panicking, true, __ATOMIC_SEQ_CST))
		panic_stop_cpu(place);
	percpu()->in_panic = 1;
	cpus_interrupt_to_stop();
}

static void print_cpu(const struct percpu *cpu, const char *what)
{
	const struct thread *thread = cpu->current;
	log_printf("capos: CPU %u%s, thread %lu \"%s\", process %s", cpu->id, what,
		thread ? thread->id : 0, thread ? thread->name : "none",
		thread && thread->process ? thread->process->name : "none (kernel)");
}

/* Prints the places of the other CPUs. It waits only briefly for one that does not take the
 * interrupt because it hangs or is itself not scheduled. */
static void print_other_cpus(void)
{
	unsigned self = percpu()->id;
	for (unsigned id = cpu_next(cpus_online(), self); id != self;
		id = cpu_next(cpus_online(), id)) {
		struct percpu *cpu = &percpus[id];
		uint64_t place = 0;
		for (unsigned i = 0; i < STOP_POLLS &&
			!(place = __atomic_load_n(&cpu->stopped_at, __ATOMIC_ACQUIRE));
			i++)
			cpu_relax();
		print_cpu(cpu, place ? " stopped" : " does not answer");
		if (place)
			print_place(place);
	}
}

void panic_end(void)
{
	print_cpu(percpu(), "");
	log_printf("capos: %lu ns after boot", clock_now_ns());
	print_other_cpus();
	log_printf("capos: stopped");
	machine_report_panic();
	cpu_stop();
}

void panic(const char *format, ...)
{
	char line[200];
	va_list arguments;
	va_start(arguments, format);
	text_vformat(line, sizeof line, format, arguments);
	va_end(arguments);
	uint64_t call = (uint64_t)__builtin_return_address(0) - 1;
	panic_begin(call);
	log_printf("capos: kernel panic: %s", line);
	backtrace_print(call, *(uint64_t *)__builtin_frame_address(0));
	panic_end();
	__builtin_unreachable();
}

uintptr_t __stack_chk_guard =
	0x00a5f0c3d217e96bul; /* replaced at boot; the zero byte stops string overruns */

_Noreturn void __stack_chk_fail(void)
{
	panic("kernel stack overrun");
}
