/* Writes to the console while consoled is made to fail. Each time it writes more than a pipe takes,
 * so the write ends only when consoled has read of it, which it tells the service `faults`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <capos/capos.h>

#include "../../../../services/faults/faults.h"

#define MS UINT64_C(1000000)
#define DEADLINE_NS (10000 * MS)
#define PAUSE_NS (10 * MS)
#define LINES 9 /* of LINE bytes: more than the 8 KiB of init's pipes */
#define LINE 1000

static uint64_t tell(uint64_t begun_ns, bool right)
{
	struct fault_report report = { .outcome = right ? FAULT_RIGHT : FAULT_REFUSED,
		.begun_ns = begun_ns,
		.service = "consoled" };
	struct capos_message message;
	int64_t status;

	do {
		memcpy(message.words, &report, sizeof(report));
		status = capos_endpoint_call(
			capos_cap("faults"), &message, capos_now_ns() + DEADLINE_NS);
	} while (status == CAPOS_E(INTERRUPTED));
	return status < 0 ? FAULT_STOP : message.words[0];
}

int main(void)
{
	static char line[LINE];
	uint64_t verdict = FAULT_GO_ON;

	memset(line, '.', sizeof(line) - 1);
	while (verdict != FAULT_STOP) {
		uint64_t begun_ns = capos_now_ns();
		bool right = true;

		for (int i = 0; i < LINES; i++)
			right = printf("%s\n", line) > 0 && fflush(stdout) == 0 && right;
		verdict = tell(begun_ns, right);
		capos_sleep_ns(PAUSE_NS);
	}
	return EXIT_SUCCESS;
}
