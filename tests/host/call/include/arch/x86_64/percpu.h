/* The host's stand-in for per-CPU data: one CPU, whose current thread the test provides. */
#ifndef CAPOS_ARCH_PERCPU_H
#define CAPOS_ARCH_PERCPU_H

struct percpu {
	struct thread *current;
};

struct percpu *percpu(void);

#endif
