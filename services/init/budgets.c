/* A budget's refusal reaches a service as an error of some call, and init as the end of the
 * service. So the line of the manifest is told where the service has failed, or was not started. */
#include "budgets.h"

#include <inttypes.h>
#include <stdio.h>

#include <capos/stubs.h>

#include "log.h"

#define BUDGETS (CAPOS_BUDGET_CPU + 1)
#define PAGE_KIB (CAPOS_PAGE_SIZE / 1024)

/* Of CPU time a service is not refused more: it waits. */
static const struct {
	const char *field; /* of the manifest */
	int64_t refusal;
} budgets[] = {
	[CAPOS_BUDGET_MEMORY] = { "memory", CAPOS_E(NO_MEMORY) },
	[CAPOS_BUDGET_THREADS] = { "threads", CAPOS_E(NO_THREADS) },
	[CAPOS_BUDGET_CAPABILITIES] = { "caps", CAPOS_E(NO_SLOTS) },
	[CAPOS_BUDGET_CALLS] = { "calls", CAPOS_E(LIMIT_REACHED) },
};
#define COUNTED (sizeof(budgets) / sizeof(budgets[0]))

static uint64_t limit_of(const struct capos_manifest_service *entry, uint32_t budget)
{
	switch (budget) {
	case CAPOS_BUDGET_MEMORY:
		return entry->memory_pages;
	case CAPOS_BUDGET_THREADS:
		return entry->threads;
	case CAPOS_BUDGET_CAPABILITIES:
		return entry->capabilities;
	default:
		return entry->calls;
	}
}

/* As the manifest has it: "64K" for memory. */
static void value_text(uint32_t budget, uint64_t limit, char *text, size_t size)
{
	if (budget == CAPOS_BUDGET_MEMORY)
		snprintf(text, size, "\"%" PRIu64 "K\"", limit * PAGE_KIB);
	else
		snprintf(text, size, "%" PRIu64, limit);
}

void budgets_tell_refused(const struct capos_manifest_service *entry, capos_cap_t process)
{
	struct capos_budget_usage usage[BUDGETS];
	char value[32];

	if (capos_process_budgets(process, usage, sizeof(usage)) < 0)
		return;
	for (uint32_t i = 0; i < COUNTED; i++) {
		if (usage[i].refused == 0 || limit_of(entry, i) == 0)
			continue;
		value_text(i, limit_of(entry, i), value, sizeof(value));
		log_line("%s: its limit was in the way; say in the manifest: %s: more than %s",
			(const char *)entry->name, budgets[i].field, value);
	}
}

void budgets_tell_not_started(const struct capos_manifest_service *entry, int64_t status)
{
	char value[32];

	for (uint32_t i = 0; i < COUNTED; i++) {
		if (budgets[i].refusal != status || limit_of(entry, i) == 0)
			continue;
		value_text(i, limit_of(entry, i), value, sizeof(value));
		log_line("%s: init has less left; say in the manifest: %s: less than %s, or "
			 "shared: [\"%s\"]",
			(const char *)entry->name, budgets[i].field, value, budgets[i].field);
	}
}
