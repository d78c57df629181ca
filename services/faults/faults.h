/* What the service `faults` has to say to others: to the agents in the services that it makes fail,
 * and to the clients of these, which tell it what they were answered. */
#ifndef FAULTS_H
#define FAULTS_H

#include <stdbool.h>
#include <stdint.h>

/* The answer to an agent's call: a word is overwritten with (word & kept) ^ changed. */
struct fault_order {
	uint64_t page, word; /* which, modulo how many there are */
	uint64_t kept, changed;
	uint64_t reserved[4];
};

enum fault_outcome {
	FAULT_RIGHT,   /* the answer is right */
	FAULT_REFUSED, /* the call ended with an error; detail: which */
	FAULT_WRONG,   /* the answer is wrong; since_ns: from when on the client knows the state */
};

/* A client's call at the endpoint "faults": what became of one of its own calls. The answer's first
 * word is a fault_verdict. */
struct fault_report {
	uint64_t outcome;  /* enum fault_outcome */
	uint64_t begun_ns; /* when it called */
	uint64_t since_ns;
	uint64_t detail;
	char service[32]; /* that it called, then NUL */
};

enum fault_verdict {
	FAULT_GO_ON,
	FAULT_EXCUSED, /* of a wrong answer: the service was corrupted; its state is unknown now */
	FAULT_STOP,    /* the system ends: the client exits with 0 */
};

#endif
