/* ProcessSpawner: starts a process with what its caller names and pays for.
 *
 * Everything that the caller says is copied into one block first, which the caller is charged, and
 * checked there. The objects to be granted are looked up, which keeps them. Then the child is made:
 * its ledger out of the caller's, the empty process, and by process_load what is in it. A step that
 * fails takes back those before it. */
#include "call/call.h"
#include "call/trace.h"
#include "core/string.h"
#include "kernel/grants.h"
#include "kernel/methods.h"
#include "mm/kmem.h"
#include "mm/ledger.h"
#include "mm/memory_object.h"
#include "object/behalf.h"
#include "object/boot_image.h"
#include "object/process_load.h"
#include "proc/process.h"
#include "proc/thread.h"
#include "sched/sched.h"
#include "sched/thread.h"

#define GRANTS_AT_ONCE 16u /* compared with others before other threads may run */

/* Where an executable in a MemoryObject is. */
struct object_place {
	struct memory_object *object;
	uint64_t start;
};

/* A request being carried out. */
struct spawning {
	struct call *call;
	struct process *process; /* the caller's, which has the capabilities and pays for this */
	struct object *image;    /* looked up; NULL: not yet */
	struct object_place place;
	struct program program;
	struct ledger_limits limits;
	uint32_t count; /* of grants */
	uint32_t held;  /* of these are looked up */
	bool remembers; /* spawnRememberCalls */
	/* In the same block, behind this: the caller's words, copied. */
	struct capos_spawn_grant *grants;
	struct grant *list;
	char *args, *env;
};

/* ---- the request ---- */

static status_t read_strings(
	const struct buffer_in *from, char *to, struct boot_image_strings *strings)
{
	status_t status = buffer_read(from, 0, to, from->length);
	if (status != STATUS_OK)
		return status;
	if (from->length && to[from->length - 1])
		return STATUS(INVALID_ARGUMENT);
	*strings = (struct boot_image_strings){ .bytes = to, .size = from->length };
	for (size_t i = 0; i < from->length; i++)
		strings->count += !to[i];
	return STATUS_OK;
}

static bool grant_is_good(const struct capos_spawn_grant *grant)
{
	return !grant->reserved && !grant->reserved2 && grant->name[0] &&
		!grant->name[CAPOS_SPAWN_GRANT_NAME_MAX];
}

static status_t check_grants(struct spawning *spawning)
{
	for (uint32_t i = 0; i < spawning->count; i++) {
		const char *name = (const char *)spawning->grants[i].name;
		spawning->call->detail = i;
		if (!grant_is_good(&spawning->grants[i]))
			return STATUS(INVALID_ARGUMENT);
		for (uint32_t other = 0; other < i; other++)
			if (strcmp(name, spawning->list[other].name) == 0)
				return STATUS(INVALID_ARGUMENT);
		spawning->list[i].name = name;
		if (i % GRANTS_AT_ONCE == GRANTS_AT_ONCE - 1)
			sched_preemption_point();
	}
	return STATUS_OK;
}

/* The object with which a program starts by that name; NULL: none. */
static const struct object *object_named(const char *name)
{
	for (unsigned i = 0; i < CAPOS_GRANT_COUNT; i++)
		if (strcmp(grants[i].name, name) == 0)
			return grants[i].object;
	return NULL;
}

/* What is for the process that calls is the child's own where it has its own name. By another name
 * the child gets the caller's. */
static status_t hold_grant(struct spawning *spawning, struct grant *grant, cap_id_t cap)
{
	struct process *process = spawning->process;
	status_t status = cap_table_copy(&process->caps, cap, &grant->object);
	if (status != STATUS_OK || !behalf_is_own(grant->object) ||
		grant->object == object_named(grant->name))
		return status;
	return behalf_make(process, &grant->object);
}

/* Looks up what is to be granted, and keeps it. */
static status_t hold_grants(struct spawning *spawning)
{
	for (uint32_t i = 0; i < spawning->count; i++) {
		struct grant *grant = &spawning->list[i];
		spawning->call->detail = i;
		status_t status = hold_grant(spawning, grant, spawning->grants[i].cap);
		if (status != STATUS_OK)
			return status;
		spawning->held++;
	}
	spawning->call->detail = 0;
	return STATUS_OK;
}

#define BUDGETS_SHARABLE (((1u << BUDGET_COUNT) - 1) & ~(1u << CAPOS_BUDGET_MEMORY))

static status_t read_limits(
	struct spawning *spawning, const struct process_spawner_spawn_params *in)
{
	struct ledger_limits *limits = &spawning->limits;
	struct capos_spawn_limits asked = { 0 };
	limits->pages = in->memory_pages;
	spawning->remembers = in->flags & CAPOS_SPAWN_REMEMBER_CALLS;
	limits->shared = in->flags & CAPOS_SPAWN_SHARED ? 1u << CAPOS_BUDGET_MEMORY : 0;
	if (!in->limits.length)
		return STATUS_OK;
	if (in->limits.length != sizeof asked)
		return STATUS(INVALID_ARGUMENT);
	status_t status = buffer_read(&in->limits, 0, &asked, sizeof asked);
	if (status != STATUS_OK)
		return status;
	if (asked.shared & ~BUDGETS_SHARABLE || asked.reserved || asked.reserved2)
		return STATUS(INVALID_ARGUMENT);
	limits->shared |= asked.shared;
	limits->counts[CAPOS_BUDGET_THREADS - 1] = asked.threads;
	limits->counts[CAPOS_BUDGET_CAPABILITIES - 1] = asked.capabilities;
	limits->counts[CAPOS_BUDGET_CALLS - 1] = asked.calls;
	limits->counts[CAPOS_BUDGET_CPU - 1] = asked.cpu;
	return STATUS_OK;
}

static status_t read_request(
	struct spawning *spawning, const struct process_spawner_spawn_params *in)
{
	struct program *program = &spawning->program;
	status_t status = read_strings(&in->args, spawning->args, &program->args);
	if (status == STATUS_OK)
		status = read_strings(&in->env, spawning->env, &program->env);
	if (status == STATUS_OK)
		status = buffer_read(&in->grants, 0, spawning->grants, in->grants.length);
	if (status == STATUS_OK)
		status = read_limits(spawning, in);
	if (status == STATUS_OK)
		status = check_grants(spawning);
	if (status == STATUS_OK)
		status = hold_grants(spawning);
	program->grants = spawning->list;
	program->grant_count = spawning->count;
	return status;
}

static status_t check_sizes(const struct process_spawner_spawn_params *in)
{
	if (in->flags & ~(uint64_t)(CAPOS_SPAWN_SHARED | CAPOS_SPAWN_REMEMBER_CALLS) ||
		(!in->memory_pages && !(in->flags & CAPOS_SPAWN_SHARED)) ||
		in->grants.length % sizeof(struct capos_spawn_grant))
		return STATUS(INVALID_ARGUMENT);
	if (in->args.length > CAPOS_SPAWN_STRINGS_MAX ||
		in->env.length > CAPOS_SPAWN_STRINGS_MAX - in->args.length ||
		in->grants.length / sizeof(struct capos_spawn_grant) > CAPOS_SPAWN_GRANTS_MAX)
		return STATUS(LIMIT_REACHED);
	return STATUS_OK;
}

static struct spawning *spawning_create(
	struct call *call, const struct process_spawner_spawn_params *in)
{
	uint32_t count = (uint32_t)(in->grants.length / sizeof(struct capos_spawn_grant));
	size_t lists = count * (sizeof(struct capos_spawn_grant) + sizeof(struct grant));
	struct spawning *spawning = kmem_alloc(call->thread->process->ledger,
		sizeof *spawning + lists + in->args.length + in->env.length);
	if (!spawning)
		return NULL;
	spawning->call = call;
	spawning->process = call->thread->process;
	spawning->count = count;
	spawning->grants = (struct capos_spawn_grant *)(spawning + 1);
	spawning->list = (struct grant *)(spawning->grants + count);
	spawning->args = (char *)(spawning->list + count);
	spawning->env = spawning->args + in->args.length;
	return spawning;
}

static void spawning_destroy(struct spawning *spawning)
{
	for (uint32_t i = 0; i < spawning->held; i++)
		cap_drop(spawning->list[i].object);
	if (spawning->image)
		object_release(spawning->image);
	kmem_free(spawning->process->ledger, spawning);
}

/* ---- the executable ---- */

static const void *memory_object_at(
	const struct elf_source *source, uint64_t offset, uint64_t *length)
{
	const struct object_place *place = source->bytes;
	uint64_t position = place->start + offset, left = source->size - offset;
	uint64_t in_page = PAGE_SIZE - position % PAGE_SIZE;
	*length = in_page < left ? in_page : left;
	const uint8_t *frame =
		phys_to_virt(memory_object_frame(place->object, position / PAGE_SIZE));
	return frame + position % PAGE_SIZE;
}

/* In a MemoryObject. */
static status_t use_object(struct spawning *spawning, uint64_t offset, uint64_t size)
{
	struct memory_object *object = memory_object_from(spawning->image);
	uint64_t whole = object->pages * PAGE_SIZE;
	if (offset > whole || size > whole - offset)
		return STATUS(OUT_OF_RANGE);
	spawning->place = (struct object_place){ .object = object, .start = offset };
	spawning->program.elf = (struct elf_source){ size, memory_object_at, &spawning->place };
	return STATUS_OK;
}

static status_t use_boot_image(struct spawning *spawning, uint64_t offset, uint64_t size)
{
	const void *bytes = boot_image_range(offset, size);
	if (!bytes)
		return STATUS(OUT_OF_RANGE);
	spawning->program.elf = (struct elf_source){ size, elf_bytes_at, bytes };
	spawning->program.mappable = true;
	spawning->program.image_offset = offset;
	return STATUS_OK;
}

static status_t use_image(struct spawning *spawning, const struct process_spawner_spawn_params *in)
{
	spawning->image = cap_table_lookup(&spawning->process->caps, (cap_id_t)in->image);
	if (!spawning->image)
		return STATUS(NOT_FOUND);
	trace_use(spawning->image);
	if (in->offset % PAGE_SIZE)
		return STATUS(MISALIGNED);
	if (spawning->image == &object_boot)
		return use_boot_image(spawning, in->offset, in->size);
	if (spawning->image->interface == &interface_descs[INTERFACE_MEMORY_OBJECT])
		return use_object(spawning, in->offset, in->size);
	return STATUS(INVALID_ARGUMENT);
}

/* The checks of spawn alone, so it may tell more than spawn's one error for all of them. */
status_t method_process_spawner_explain(struct call *call,
	const struct process_spawner_explain_params *in,
	struct process_spawner_explain_results *out)
{
	const struct process_spawner_spawn_params place = {
		.image = in->image, .offset = in->offset, .size = in->size
	};
	const char *reason = "";
	char version[CAPOS_SPAWN_REASON_MAX];
	struct spawning *spawning = spawning_create(call, &place);
	struct elf_image *image = kmem_alloc(call->process->ledger, sizeof *image);
	status_t status = spawning && image ? use_image(spawning, &place) : STATUS(NO_MEMORY);
	if (status == STATUS_OK) {
		status_t parsed = elf_parse(&spawning->program.elf, image, &reason);
		if (parsed == STATUS(WRONG_STATE)) {
			version_text(image->abi_version, version, sizeof version);
			reason = version;
		}
		status = buffer_write(
			&out->reason, reason, parsed == STATUS_OK ? 0 : strlen(reason));
	}
	kmem_free(call->process->ledger, image);
	if (spawning)
		spawning_destroy(spawning);
	return status;
}

/* ---- the child ---- */

/* What process_load says of an executable that is none. */
static status_t load_status(status_t status)
{
	switch (status) {
	case STATUS_OK:
	case STATUS(NO_MEMORY):
	case STATUS(NO_SLOTS):
	case STATUS(NO_THREADS):
	case STATUS(WRONG_STATE):
		return status;
	default:
		return STATUS(INVALID_ARGUMENT);
	}
}

static status_t make_child(struct spawning *spawning, struct process **child)
{
	struct process *parent = spawning->call->process;
	const struct ledger_limits *limits = &spawning->limits;
	struct ledger *ledger;
	struct thread *thread;
	const char *reason;
	if (limits->pages > frames_total() && !(limits->shared & 1u << CAPOS_BUDGET_MEMORY))
		return STATUS(NO_MEMORY); /* for a caller without a limit too */
	status_t status = ledger_create_child(parent->ledger, limits, &ledger);
	if (status == STATUS_OK)
		status = process_create(
			program_name(&spawning->program.args), PROGRAM_NONE, ledger, parent, child);
	if (status != STATUS_OK)
		return status;
	(*child)->remembers = spawning->remembers;
	status = load_status(process_load(*child, &spawning->program, &thread, &reason));
	if (status != STATUS_OK) {
		process_discard(*child);
		return status;
	}
	(*child)->object.interface = &interface_descs[INTERFACE_PROCESS];
	thread_start(thread);
	object_release(&thread->object);
	return STATUS_OK;
}

status_t method_process_spawner_spawn(struct call *call,
	const struct process_spawner_spawn_params *in, struct process_spawner_spawn_results *out)
{
	struct process *child;
	if (behalf_is_meant(call))
		return behalf_call(call, CAPOS_PROCESS_SPAWNER_SPAWN, in, out);
	status_t status = check_sizes(in);
	if (status != STATUS_OK)
		return status;
	struct spawning *spawning = spawning_create(call, in);
	if (!spawning)
		return STATUS(NO_MEMORY);
	status = read_request(spawning, in);
	if (status == STATUS_OK)
		status = use_image(spawning, in);
	if (status == STATUS_OK)
		status = make_child(spawning, &child);
	if (status == STATUS_OK)
		out->process = &child->object;
	spawning_destroy(spawning);
	return status;
}
