/*
 * Reports of races, in the form that Go's programs print on other systems, and the options in the
 * environment variable GORACE.
 */
#include "race.h"

#define STACKS_MAX 4096
#define MAIN 1 /* the number of the main goroutine */

static struct {
	u32 halt_on_error, exit_status, history_size, atexit_sleep_ms;
	u32 suppress_equal_stacks;
	char strip_path_prefix[256];
} options = {
	.exit_status = 66,
	.history_size = 1,
	.atexit_sleep_ms = 1000,
	.suppress_equal_stacks = 1,
};

static struct race_lock report_lock; /* for all below */
static u64 reports;
static void (*symbolize)(u64 command, void *context);
static struct race_frames stack_now, stack_before;

/* Pairs of stacks that were reported. Beyond the limit nothing is left out for being known. */
static u64 known_stacks[STACKS_MAX];
static u32 known_stack_count;

/* ---- options ------------------------------------------------------------------------------ */

static const char *after(const char *text, const char *prefix)
{
	while (*prefix)
		if (*text++ != *prefix++)
			return NULL;
	return text;
}

static void number_option(const char *text, const char *name, u32 *value)
{
	const char *digits = after(text, name);

	if (!digits || *digits < '0' || *digits > '9')
		return;
	for (*value = 0; *digits >= '0' && *digits <= '9'; digits++)
		*value = *value * 10 + (u32)(*digits - '0');
}

static bool between(char c)
{
	return c == ' ' || c == ':' || c == ',' || c == '\t' || c == '\n';
}

static void one_option(const char *text)
{
	const char *path = after(text, "strip_path_prefix=");
	size_t length = 0;

	number_option(text, "halt_on_error=", &options.halt_on_error);
	number_option(text, "exitcode=", &options.exit_status);
	number_option(text, "history_size=", &options.history_size);
	number_option(text, "atexit_sleep_ms=", &options.atexit_sleep_ms);
	number_option(text, "suppress_equal_stacks=", &options.suppress_equal_stacks);
	if (!path)
		return;
	while (path[length] && !between(path[length]) &&
		length + 1 < sizeof(options.strip_path_prefix)) {
		options.strip_path_prefix[length] = path[length];
		length++;
	}
	options.strip_path_prefix[length] = 0;
}

void race_options(const char *const *variables)
{
	for (; *variables; variables++) {
		const char *text = after(*variables, "GORACE=");

		while (text && *text) {
			while (between(*text))
				text++;
			one_option(text);
			while (*text && !between(*text))
				text++;
		}
	}
	race_trace_limit(options.history_size > 7 ? 7 : options.history_size);
}

void race_symbolize_by(void (*callback)(u64 command, void *context))
{
	symbolize = callback;
}

/* ---- text --------------------------------------------------------------------------------- */

static char line[1024];
static size_t line_length;

static void flush(void)
{
	if (line_length)
		race_host(RACE_HOST_WRITE, (u64)line, line_length);
	line_length = 0;
}

static void character(char c)
{
	if (line_length == sizeof(line))
		flush();
	line[line_length++] = c;
}

static void text(const char *s)
{
	while (*s)
		character(*s++);
}

static void number(u64 value, u32 base, u32 digits_min)
{
	char digits[20];
	u32 count = 0;

	for (; value || count < digits_min || !count; value /= base)
		digits[count++] = "0123456789abcdef"[value % base];
	while (count)
		character(digits[--count]);
}

static const char *find(const char *haystack, const char *needle)
{
	const char *rest;

	for (; *haystack; haystack++) {
		rest = after(haystack, needle);
		if (rest)
			return rest;
	}
	return NULL;
}

static void path(const char *file)
{
	const char *rest = NULL;

	if (options.strip_path_prefix[0])
		rest = find(file, options.strip_path_prefix);
	text(rest ? rest : file);
}

/* ---- stacks ------------------------------------------------------------------------------- */

/* What Go's runtime fills in, by runtime/race.go. It changes pc when the function is inlined, to a
   place in the function around it. */
struct code_context {
	u64 pc;
	const char *function, *file;
	u64 line, offset, result;
};

#define SYMBOLIZE_CODE 1
#define INLINED_MAX 64

/* The return address of a call, as the call's place and the places around it. */
static void print_frame(u64 return_address)
{
	u64 pc = return_address - 1;

	for (u32 i = 0; i < INLINED_MAX; i++) {
		struct code_context context = { .pc = pc };

		symbolize(SYMBOLIZE_CODE, &context);
		if (!context.result)
			return;
		text("  ");
		text(context.function);
		text("()\n      ");
		path(context.file);
		text(":");
		number(context.line, 10, 1);
		text(" +0x");
		number(context.offset, 16, 1);
		text("\n");
		if (context.pc == pc)
			return;
		pc = context.pc;
	}
}

/* The outermost frame is the runtime's, which starts goroutines and main. */
static void print_stack(const u64 *frames, u32 size, bool cut)
{
	u32 outermost = cut || size < 2 ? 0 : 1;

	for (u32 i = size; i > outermost; i--)
		print_frame(frames[i - 1]);
}

static void print_goroutine(const struct race_tenant *tenant)
{
	if (!tenant) {
		text("an earlier goroutine:\n");
	} else if (tenant->goroutine == MAIN) {
		text("main goroutine:\n");
	} else {
		text("goroutine ");
		number(tenant->goroutine, 10, 1);
		text(":\n");
	}
}

static void print_access(const char *what, u64 address, const struct race_tenant *tenant,
	const struct race_frames *stack)
{
	text(what);
	text(" at 0x");
	number(address, 16, 12);
	text(" by ");
	print_goroutine(tenant);
	if (stack->failed)
		text("  [failed to restore the stack]\n");
	else
		print_stack(stack->frames, stack->size, stack->cut);
	text("\n");
}

static void print_creation(const struct race_tenant *tenant)
{
	const struct race_stack *stack = tenant->created;

	text("Goroutine ");
	number(tenant->goroutine, 10, 1);
	text(tenant->ended ? " (finished)" : " (running)");
	text(" created at:\n");
	if (stack)
		print_stack(stack->frames, stack->size, stack->cut);
}

/* ---- what is known already ---------------------------------------------------------------- */

static u64 hash_of(const struct race_frames *stack)
{
	u64 hash = 0xcbf29ce484222325;

	for (u32 i = 0; i < stack->size; i++)
		hash = (hash ^ stack->frames[i]) * 0x9e3779b97f4a7c15;
	return hash ^ hash >> 32;
}

/* Whether such a race was reported; if not, it is remembered. The order of the two does not matter.
 */
static bool is_known(void)
{
	u64 a = hash_of(&stack_now), b = hash_of(&stack_before);
	u64 pair = a < b ? a * 0x9e3779b97f4a7c15 ^ b : b * 0x9e3779b97f4a7c15 ^ a;

	for (u32 i = 0; options.suppress_equal_stacks && i < known_stack_count; i++)
		if (known_stacks[i] == pair)
			return true;
	if (known_stack_count < STACKS_MAX)
		known_stacks[known_stack_count++] = pair;
	return false;
}

/* ---- reports ------------------------------------------------------------------------------ */

static u64 address_in(u64 granule, u64 cell)
{
	return granule + (u64)__builtin_ctzll(cell & 0xff);
}

static void print_report(u64 granule, u64 now, u64 before)
{
	u32 slot = (u32)(now >> RACE_SLOT_SHIFT) % RACE_SLOTS;
	const struct race_tenant *me = race_past_tenant(slot, now >> RACE_EPOCH_SHIFT), *other;

	slot = (u32)(before >> RACE_SLOT_SHIFT) % RACE_SLOTS;
	other = race_past_tenant(slot, before >> RACE_EPOCH_SHIFT);
	text("==================\nWARNING: DATA RACE\n");
	print_access(now & RACE_READ ? "Read" : "Write", address_in(granule, now), me, &stack_now);
	print_access(before & RACE_READ ? "Previous read" : "Previous write",
		address_in(granule, before), other, &stack_before);
	if (me->goroutine != MAIN)
		print_creation(me);
	if (other && other->goroutine != MAIN && other != me) {
		if (me->goroutine != MAIN)
			text("\n");
		print_creation(other);
	}
	text("==================\n");
	flush();
}

void race_report(struct race_thread *thread, u64 granule, u64 now, u64 before, u64 pc)
{
	race_lock(&report_lock);
	race_current_stack(thread, pc, &stack_now);
	race_past_stack((u32)(before >> RACE_SLOT_SHIFT) % RACE_SLOTS, before >> RACE_EPOCH_SHIFT,
		&stack_before);
	if (!is_known()) {
		reports++;
		print_report(granule, now, before);
		if (options.halt_on_error)
			race_host(RACE_HOST_EXIT, options.exit_status, 0);
	}
	race_unlock(&report_lock);
}

u64 race_reports(void)
{
	return __atomic_load_n(&reports, __ATOMIC_RELAXED);
}

void race_finish(void)
{
	if (options.atexit_sleep_ms)
		race_host(RACE_HOST_SLEEP, options.atexit_sleep_ms * 1000ull, 0);
	race_lock(&report_lock);
	if (reports) {
		text("Found ");
		number(reports, 10, 1);
		text(" data race(s)\n");
		flush();
	}
	race_host(RACE_HOST_EXIT, reports ? options.exit_status : 0, 0);
	__builtin_trap();
}
