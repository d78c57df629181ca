/* The hand-over of a CPU between two threads in system calls: arch/context.h. The parts of a switch
 * that it needs, written out, because each instruction here is one of every call between
 * processes. */
#include "arch/context.h"

#include "arch/handlers.h"
#include "arch/tlb.h"
#include "arch/trap_frame.h"
#include "arch/x86_64/arch.h"
#include "core/percpu.h"
#include "machine/cpus.h"
#include "mm/aspace.h"
#include "sched/thread.h"

bool context_hands_over(void)
{
	return cpu_features.quick_context;
}

/* What aspace_activate() does, for two spaces of processes. */
static inline __attribute__((always_inline)) void change_space(
	struct percpu *cpu, struct aspace *old, struct aspace *space, uint64_t bit)
{
	__atomic_or_fetch(&space->cpus, bit, __ATOMIC_SEQ_CST);
	cpu->space = space;
	__asm__ volatile("mov %0, %%cr3" : : "r"(space->root) : "memory");
	__atomic_and_fetch(&old->cpus, ~bit, __ATOMIC_SEQ_CST);
}

/* user_context_save_quick() and user_context_load_quick(), with two SWAPGS less. */
static inline __attribute__((always_inline)) void change_context(
	struct user_context *old, const struct user_context *next)
{
	uint64_t base;
	__asm__ volatile("rdfsbase %0" : "=r"(base));
	old->thread_pointer = base;
	__asm__ volatile("wrfsbase %0" : : "r"(next->thread_pointer));
	__asm__ volatile("swapgs\n\trdgsbase %0\n\twrgsbase %1\n\tswapgs"
		: "=&r"(base)
		: "r"(next->gs_base)
		: "memory");
	old->gs_base = base;
	__asm__ volatile("xsave64 (%0)\n\txrstor64 (%1)"
		:
		: "r"(old->vectors), "r"(next->vectors), "a"(-1), "d"(-1)
		: "memory");
}

static inline uint64_t stack_top(const struct thread *thread)
{
	return (uint64_t)thread->stack + KERNEL_STACK_SIZE;
}

static inline struct trap_frame *frame_below(uint64_t top)
{
	return (struct trap_frame *)top - 1;
}

/* All but the step from one stack to the other. The frame of the thread that is left. */
static inline __attribute__((always_inline)) struct trap_frame *leave(
	struct percpu *cpu, struct thread *next, uint64_t top)
{
	struct thread *thread = cpu->current;
	struct trap_frame *frame = frame_below(stack_top(thread));
	struct aspace *old = cpu->space;
	uint64_t bit = cpu_bit(cpu->id);
	thread->stack_pointer = (uint64_t)((uint64_t *)frame - SWITCH_WORDS);
	cpu_set_kernel_stack(&cpu->arch, top);
	change_context(&thread->context, &next->context);
	if (old != next->space)
		change_space(cpu, old, next->space, bit);
	/* The one that is left has been saved, and the one that comes has not looked for work: as
	 * in a switch. */
	__atomic_store_n(&cpu->current, next, __ATOMIC_SEQ_CST);
	if (__builtin_expect(!(__atomic_load_n(&next->affinity, __ATOMIC_RELAXED) & bit), 0))
		cpu->resched |= RESCHED_LOOK;
	return frame;
}

_Noreturn void context_hand_over(
	struct percpu *cpu, struct thread *next, int64_t result, uint64_t target)
{
	uint64_t top = stack_top(next);
	assert_held(&cpu->run.lock);
	struct trap_frame *left = leave(cpu, next, top);
	leave_to(frame_below(top), left, result, target);
}

_Noreturn void context_hand_over_words(struct percpu *cpu, struct thread *next, int64_t result,
	uint64_t target, const uint64_t *words)
{
	uint64_t top = stack_top(next);
	assert_held(&cpu->run.lock);
	struct trap_frame *frame = frame_below(top), *left = leave(cpu, next, top);
	trap_frame_set_message(frame, words);
	trap_frame_set_results(frame, result, target, 0);
	leave_with(frame, left, message_return);
}

static _Noreturn void resume(struct trap_frame *frame)
{
	(void)frame;
	message_resume();
}

_Noreturn void context_hand_over_inside(struct percpu *cpu, struct thread *next)
{
	uint64_t top = stack_top(next);
	assert_held(&cpu->run.lock);
	struct trap_frame *left = leave(cpu, next, top);
	leave_with(frame_below(top), left, resume);
}
