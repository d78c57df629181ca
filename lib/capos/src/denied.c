/* A program that calls what it was not granted is told which grant is missing, and what its
 * manifest has to say, on standard error. Without that it would see one error for all of them. What
 * is kept here is only for such messages, so it need not be exact when threads fail at once. */
#include <stdbool.h>
#include <string.h>

#include <capos/caps.h>
#include <capos/stubs.h>

#include "internal.h"

#define NAME_BYTES 48u /* of CapSetEntry.name */
#define TEXT_BYTES 256u
#define REPORT_NS 1000000000ull /* how long a full pipe is waited for */

static uint64_t told; /* a bit for each grant; atomic */
static bool taken;    /* the name is being read or written; atomic */
static char not_found[NAME_BYTES];

static bool take_name(void)
{
	return !__atomic_exchange_n(&taken, true, __ATOMIC_ACQUIRE);
}

static void leave_name(void)
{
	__atomic_store_n(&taken, false, __ATOMIC_RELEASE);
}

void grant_not_found(const char *name)
{
	if (!take_name())
		return;
	size_t length = strlen(name);
	if (length >= sizeof(not_found))
		length = sizeof(not_found) - 1;
	memcpy(not_found, name, length);
	not_found[length] = 0;
	leave_name();
}

/* ---- the text ---- */

struct text {
	char *bytes;
	size_t size, length;
};

static void add(struct text *text, const char *part)
{
	while (*part != 0 && text->length + 1 < text->size)
		text->bytes[text->length++] = *part++;
	if (text->size > 0)
		text->bytes[text->length] = 0;
}

static void add_three(struct text *text, const char *before, const char *name, const char *behind)
{
	add(text, before);
	add(text, name);
	add(text, behind);
}

static bool is_grant(const char *name)
{
	for (size_t i = 0; i < CAPOS_GRANT_COUNT; i++)
		if (strcmp(grant_names[i], name) == 0)
			return true;
	return strcmp(name, "init_log") == 0 || strcmp(name, "init_processes") == 0;
}

static void add_manifest_line(struct text *text, const char *name, int grant)
{
	if (is_grant(name))
		add_three(text, "grants: [\"", name, "\"]");
	else if (strcmp(name, "ready") == 0)
		add(text, "ready: true");
	else if (strcmp(name, "heartbeat") == 0)
		add(text, "heartbeatMs: 1000");
	else if (strncmp(name, "virtio-", strlen("virtio-")) == 0 ||
		strncmp(name, "pci:", strlen("pci:")) == 0)
		add_three(text, "devices: [\"", name, "\"]");
	else if (grant == GRANT_SERVED)
		add_three(text, "serves: \"", name, "\": {}");
	else
		add_three(text, "uses: \"", name, "\": {}");
}

char *capos_manifest_line(const char *name, char *text, size_t size)
{
	struct text line = { .bytes = text, .size = size };

	add(&line, "");
	add_manifest_line(&line, name, GRANT_USED);
	return text;
}

/* ---- telling ---- */

void capos_report(const char *text, size_t size)
{
	const struct capos_cap_set_entry *entry = capos_cap_entry("stderr");
	uint64_t count;

	if (entry == NULL)
		return;
	if (entry->interface_id == CAPOS_INTERFACE_CONSOLE)
		capos_console_write(entry->cap, text, size);
	else
		capos_pipe_writer_write(entry->cap, text, size, REPORT_NS, &count);
}

static void tell(const char *name, int grant)
{
	char bytes[TEXT_BYTES];
	struct text text = { .bytes = bytes, .size = sizeof(bytes) };

	add_three(&text, "libcapos: the program was started without \"", name,
		"\"; say in the manifest: ");
	add_manifest_line(&text, name, grant);
	add(&text, "\n");
	capos_report(text.bytes, text.length);
}

int64_t grant_missing(int grant)
{
	char name[NAME_BYTES] = "";

	if (grant >= 0) {
		uint64_t bit = 1ull << grant;
		if ((__atomic_fetch_or(&told, bit, __ATOMIC_RELAXED) & bit) == 0)
			tell(grant_names[grant], grant);
	} else if (take_name()) {
		memcpy(name, not_found, sizeof(name));
		not_found[0] = 0; /* once */
		leave_name();
		if (name[0] != 0)
			tell(name, grant);
	}
	return CAPOS_TRANSPORT_E(INVOKE_FAILED);
}
