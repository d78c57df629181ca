/* The numbers and words are those of ./capos run for a program without init: docs/run.md. */
#include "end.h"

#include <inttypes.h>
#include <stdio.h>

#define STATUS_SIGNAL 128

static const struct {
	int number; /* Unix's */
	const char *text;
} kinds[] = {
	[CAPOS_NOTIFICATION_KIND_PAGE_FAULT] = { 11, "page fault" },
	[CAPOS_NOTIFICATION_KIND_GENERAL_PROTECTION] = { 11, "general protection fault" },
	[CAPOS_NOTIFICATION_KIND_DIVIDE] = { 8, "division by zero or overflow" },
	[CAPOS_NOTIFICATION_KIND_FLOATING_POINT] = { 8, "floating-point exception" },
	[CAPOS_NOTIFICATION_KIND_ILLEGAL_INSTRUCTION] = { 4, "illegal instruction" },
	[CAPOS_NOTIFICATION_KIND_BREAKPOINT] = { 5, "breakpoint" },
	[CAPOS_NOTIFICATION_KIND_ALIGNMENT] = { 7, "misaligned access" },
	[CAPOS_NOTIFICATION_KIND_OUT_OF_MEMORY] = { 7, "out of memory" },
	[CAPOS_NOTIFICATION_KIND_INTERRUPT] = { 2, "interrupt" },
	[CAPOS_NOTIFICATION_KIND_QUIT] = { 3, "quit" },
	[CAPOS_NOTIFICATION_KIND_TERMINATE] = { 15, "terminate" },
};
#define KIND_COUNT (sizeof(kinds) / sizeof(kinds[0]))

static size_t kind_of(const struct capos_process_end *end)
{
	return end->code >= 0 && (size_t)end->code < KIND_COUNT ? (size_t)end->code : 0;
}

static bool stopped(const struct capos_process_end *end)
{
	return (end->kind == CAPOS_EXIT_KIND_EXITED && end->code == 0) ||
		(end->kind == CAPOS_EXIT_KIND_KILLED &&
			end->code == CAPOS_NOTIFICATION_KIND_TERMINATE);
}

void end_text(const struct capos_process_end *end, bool asked, char *text, size_t size)
{
	const char *kind = kinds[kind_of(end)].text;

	if (asked && stopped(end))
		snprintf(text, size, "stopped");
	else if (end->kind == CAPOS_EXIT_KIND_EXITED)
		snprintf(text, size, "ended with status %" PRId32, end->code);
	else if (end->kind == CAPOS_EXIT_KIND_KILLED)
		snprintf(text, size, "was ended: %s", kind != NULL ? kind : "unknown");
	else
		snprintf(text, size,
			"was ended by a fault: %s, address 0x%" PRIx64 ", code 0x%" PRIx64,
			kind != NULL ? kind : "unknown", end->fault_address, end->fault_place);
}

int end_status(const struct capos_process_end *end)
{
	if (end->kind == CAPOS_EXIT_KIND_EXITED)
		return end->code & 0xff;
	return STATUS_SIGNAL + kinds[kind_of(end)].number;
}
