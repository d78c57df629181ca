/* The records of all CPUs: see percpu.h. */
#include "core/percpu.h"

struct percpu percpus[CAPOS_CPUS_MAX];
