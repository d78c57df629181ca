/* DeviceManager and Device: virtio devices that programs drive. device_queues.c has the queues.
 *
 * A capability stands for a claim: the device is the claim's until the last reference is gone. Then
 * the device is reset, and only when it says that it has done so, its queues are freed and the
 * pools let go, because until then it may write to both. A device that does not say so keeps them
 * for good.
 *
 * An interrupt signals the event that is bound, once, and is then kept back where it comes from:
 *
 *     device_interrupted                    acknowledge
 *     the device's lock                     the device's lock
 *         masked                                not masked
 *         signals the event                     looks into the used rings, and at what was missed:
 *                                               there is something: masked, signals the event
 *
 * So a driver that acknowledges and then collects until nothing is left loses none. */
#include "object/device.h"

#include "arch/cpu.h"
#include "call/call.h"
#include "core/log.h"
#include "kernel/methods.h"
#include "machine/clock.h"
#include "mm/aspace.h"
#include "mm/kmem.h"
#include "mm/ledger.h"
#include "mm/memory_object.h"
#include "proc/process.h"
#include "sched/sched.h"

#define RESET_PATIENCE_NS 1000000000ull

/* Features from 24 to 49 are about queues, transport and access to memory (virtio 1.2, section 2.2,
 * chapter 6). ANY_LAYOUT only says that requests may be cut into buffers anywhere. */
#define KERNEL_FEATURES (((1ull << 50) - 1) & ~((1ull << 24) - 1) & ~(1ull << 27))
#define FEATURE_VERSION_1 (1ull << 32)
#define FEATURE_ACCESS_PLATFORM (1ull << 33) /* devices behind an IOMMU do not work without it */
#define FEATURE_ORDER_PLATFORM (1ull << 36)  /* nor may those that are hardware */

static status_t setup_begin(struct device_claim *claim)
{
	spin_lock(&claim->device->lock);
	bool busy = claim->setting_up;
	claim->setting_up = true;
	spin_unlock(&claim->device->lock);
	return busy ? STATUS(BUSY) : STATUS_OK;
}

static status_t setup_end(struct device_claim *claim, status_t status)
{
	spin_lock(&claim->device->lock);
	claim->setting_up = false;
	spin_unlock(&claim->device->lock);
	return status;
}

/* ---- interrupts ---- */

void claim_mask_locked(struct device_claim *claim, bool masked)
{
	const struct virtio_device *virtio = &claim->device->virtio;
	assert_held(&claim->device->lock);
	claim->masked = masked;
	for (uint32_t i = 0; i < CAPOS_DEVICE_QUEUES_MAX; i++)
		if (claim->queues[i])
			device_queue_interrupts(&claim->queues[i]->ring, !masked);
	virtio->transport->interrupt_mask(virtio, masked);
}

static bool pending_locked(const struct device_claim *claim)
{
	bool pending = claim->missed;
	assert_held(&claim->device->lock);
	for (uint32_t i = 0; i < CAPOS_DEVICE_QUEUES_MAX; i++)
		pending |= claim->queues[i] && device_queue_pending(&claim->queues[i]->ring);
	return pending;
}

void device_interrupted(void *argument)
{
	struct device *device = argument;
	assert_none_held();
	spin_lock(&device->lock);
	struct device_claim *claim = device->claim;
	bool own = virtio_interrupt_acknowledge(&device->virtio);
	if (own && claim && claim->state == CLAIM_RUNNING && !claim->masked) {
		claim_mask_locked(claim, true);
		interrupt_signal_send_locked(&claim->signal);
	} else if (own && claim && claim->state == CLAIM_RUNNING) {
		claim->missed = true;
	} else if (own) { /* it has no reason to */
		device->virtio.transport->interrupt_mask(&device->virtio, true);
	}
	spin_unlock(&device->lock);
}

status_t method_device_bind(
	struct call *call, const struct device_bind_params *in, struct device_bind_results *out)
{
	struct device_claim *claim = claim_from(call->object);
	(void)out;
	return interrupt_signal_bind(&claim->signal, call, in->event, in->bits);
}

status_t method_device_acknowledge(struct call *call, const struct device_acknowledge_params *in,
	struct device_acknowledge_results *out)
{
	struct device_claim *claim = claim_from(call->object);
	struct event_signal due = { .event = NULL };
	(void)in;
	(void)out;
	spin_lock(&claim->device->lock);
	bool running = claim->state == CLAIM_RUNNING;
	if (running) {
		claim_mask_locked(claim, false);
		if (pending_locked(claim)) {
			claim_mask_locked(claim, true);
			claim->missed = false;
			due = binding_due_locked(&claim->signal.binding);
		}
	}
	spin_unlock(&claim->device->lock);
	event_signal_send(due);
	return running ? STATUS_OK : STATUS(WRONG_STATE);
}

/* ---- reset ---- */

/* The calling thread sets the claim up. False: the device has not reset itself, and may still write
 * to its queues and pools. */
static bool stop(struct device_claim *claim)
{
	const struct virtio_device *virtio = &claim->device->virtio;
	uint64_t until_ns = clock_now_ns() + RESET_PATIENCE_NS;
	spin_lock(&claim->device->lock);
	claim->state = CLAIM_RESET;
	claim->missed = false;
	claim_mask_locked(claim, true);
	spin_unlock(&claim->device->lock);
	virtio_reset_begin(virtio);
	while (!virtio_reset_done(virtio)) {
		if (clock_now_ns() >= until_ns) {
			log_printf("capos: a virtio device of type %u does not reset itself",
				virtio->id);
			return false;
		}
		cpu_relax();
		sched_preemption_point();
	}
	claim_free_queues(claim);
	return true;
}

status_t method_device_reset(
	struct call *call, const struct device_reset_params *in, struct device_reset_results *out)
{
	struct device_claim *claim = claim_from(call->object);
	(void)in;
	(void)out;
	status_t status = setup_begin(claim);
	if (status != STATUS_OK)
		return status;
	return setup_end(claim, stop(claim) ? STATUS_OK : STATUS(DISCONNECTED));
}

/* ---- setting up ---- */

static status_t negotiate(struct device_claim *claim, uint64_t wanted, uint64_t *agreed)
{
	const struct virtio_device *virtio = &claim->device->virtio;
	if (!stop(claim))
		return STATUS(DISCONNECTED);
	*agreed = virtio_features(virtio) &
		(wanted | FEATURE_VERSION_1 | FEATURE_ACCESS_PLATFORM | FEATURE_ORDER_PLATFORM);
	if (!virtio_agree(virtio, *agreed))
		return STATUS(DISCONNECTED);
	virtio->transport->interrupt_for_config(virtio, true);
	spin_lock(&claim->device->lock);
	claim->state = CLAIM_AGREED;
	spin_unlock(&claim->device->lock);
	return STATUS_OK;
}

status_t method_device_negotiate(struct call *call, const struct device_negotiate_params *in,
	struct device_negotiate_results *out)
{
	struct device_claim *claim = claim_from(call->object);
	if (in->features & KERNEL_FEATURES)
		return STATUS(NO_RIGHTS);
	status_t status = setup_begin(claim);
	if (status != STATUS_OK)
		return status;
	return setup_end(claim, negotiate(claim, in->features, &out->agreed));
}

static struct memory_object *find_pool(struct process *process, uint64_t cap)
{
	if (cap > UINT32_MAX)
		return NULL;
	struct object *object = cap_table_lookup_counted(&process->caps, (cap_id_t)cap);
	if (!object || object->interface == &interface_descs[INTERFACE_MEMORY_OBJECT])
		return object ? memory_object_from(object) : NULL;
	object_release(object);
	return NULL;
}

status_t method_device_add_queue(struct call *call, const struct device_add_queue_params *in,
	struct device_add_queue_results *out)
{
	struct device_claim *claim = claim_from(call->object);
	(void)out;
	if (!in->size || in->size & (in->size - 1) || in->size > CAPOS_DEVICE_QUEUE_SIZE_MAX)
		return STATUS(INVALID_ARGUMENT);
	if (in->number >= CAPOS_DEVICE_QUEUES_MAX)
		return STATUS(NOT_FOUND);
	struct memory_object *pool = find_pool(call->process, in->pool);
	if (!pool)
		return STATUS(NOT_FOUND);
	status_t status = setup_begin(claim);
	if (status == STATUS_OK) {
		status = claim->state == CLAIM_AGREED && !claim->queues[in->number]
			? claim_add_queue(claim, call->process->space->ledger, (uint32_t)in->number,
				  (uint32_t)in->size, pool)
			: STATUS(WRONG_STATE);
		status = setup_end(claim, status);
	}
	object_release(memory_object_header(pool));
	return status;
}

status_t method_device_start(
	struct call *call, const struct device_start_params *in, struct device_start_results *out)
{
	struct device_claim *claim = claim_from(call->object);
	(void)in;
	(void)out;
	status_t status = setup_begin(claim);
	if (status != STATUS_OK)
		return status;
	spin_lock(&claim->device->lock);
	if (claim->state == CLAIM_AGREED) {
		claim->state = CLAIM_RUNNING;
		claim_mask_locked(claim, false);
		virtio_ready(&claim->device->virtio);
	} else {
		status = STATUS(WRONG_STATE);
	}
	spin_unlock(&claim->device->lock);
	return setup_end(claim, status);
}

/* ---- what the device is ---- */

status_t method_device_info(
	struct call *call, const struct device_info_params *in, struct device_info_results *out)
{
	struct device_claim *claim = claim_from(call->object);
	const struct virtio_device *virtio = &claim->device->virtio;
	(void)in;
	status_t status = setup_begin(claim);
	if (status != STATUS_OK)
		return status;
	struct capos_device_description info = {
		.type = virtio->id,
		.legacy = virtio->legacy,
		.features = virtio_features(virtio),
		.config_size = virtio->config_size,
		.config_generation = virtio->transport->config_generation(virtio),
		.status = virtio->transport->status_read(virtio),
	};
	for (uint32_t i = 0; i < CAPOS_DEVICE_QUEUES_MAX; i++) {
		uint32_t size = virtio->transport->queue_size_max(virtio, i);
		uint16_t most = (uint16_t)(size > UINT16_MAX ? UINT16_MAX : size);
		__builtin_memcpy(info.queue_sizes + i * sizeof most, &most, sizeof most);
	}
	setup_end(claim, STATUS_OK);
	return buffer_write(&out->info, &info, sizeof info);
}

/* Where a field of the configuration is. */
static status_t find_field(
	const struct call *call, uint64_t offset, uint64_t width, volatile void **field)
{
	const struct virtio_device *virtio = &claim_from(call->object)->device->virtio;
	if (width != 1 && width != 2 && width != 4)
		return STATUS(INVALID_ARGUMENT);
	if (offset % width)
		return STATUS(MISALIGNED);
	if (offset >= virtio->config_size || width > virtio->config_size - offset)
		return STATUS(OUT_OF_RANGE);
	*field = virtio->config + offset;
	return STATUS_OK;
}

status_t method_device_read_config(struct call *call, const struct device_read_config_params *in,
	struct device_read_config_results *out)
{
	volatile void *field;
	status_t status = find_field(call, in->offset, in->width, &field);
	if (status != STATUS_OK)
		return status;
	if (in->width == 1)
		out->value = *(volatile uint8_t *)field;
	else if (in->width == 2)
		out->value = *(volatile uint16_t *)field;
	else
		out->value = *(volatile uint32_t *)field;
	return STATUS_OK;
}

status_t method_device_write_config(struct call *call, const struct device_write_config_params *in,
	struct device_write_config_results *out)
{
	volatile void *field;
	(void)out;
	status_t status = find_field(call, in->offset, in->width, &field);
	if (status != STATUS_OK)
		return status;
	if (in->width == 1)
		*(volatile uint8_t *)field = (uint8_t)in->value;
	else if (in->width == 2)
		*(volatile uint16_t *)field = (uint16_t)in->value;
	else
		*(volatile uint32_t *)field = (uint32_t)in->value;
	return STATUS_OK;
}

/* ---- life ---- */

/* No call is in progress, because a call has a reference. */
static void claim_destroy(struct object *object)
{
	struct device_claim *claim = claim_from(object);
	struct device *device = claim->device;
	struct ledger *ledger = claim->ledger;
	assert_none_held();
	if (claim->state != CLAIM_RESET)
		(void)!stop(claim);
	binding_end(&claim->signal.binding);
	spin_lock(&device->lock);
	device->claim = NULL;
	spin_unlock(&device->lock);
	kmem_free(ledger, claim);
	ledger_release(ledger);
}

static const struct object_ops claim_ops = { .destroy = claim_destroy };

/* False: another claim has it. */
static bool take_device(struct device_claim *claim)
{
	struct device *device = claim->device;
	spin_lock(&device->lock);
	bool free = !device->claim;
	if (free)
		device->claim = claim;
	spin_unlock(&device->lock);
	return free;
}

status_t method_device_manager_open(struct call *call, const struct device_manager_open_params *in,
	struct device_manager_open_results *out)
{
	struct ledger *ledger = call->process->space->ledger;
	struct device *device = device_find(in->number);
	if (!device)
		return STATUS(NOT_FOUND);
	struct device_claim *claim = kmem_alloc(ledger, sizeof *claim);
	if (!claim)
		return STATUS(NO_MEMORY);
	claim->device = device;
	claim->ledger = ledger;
	interrupt_signal_init(&claim->signal, &claim->object, &device->lock);
	if (!take_device(claim)) {
		kmem_free(ledger, claim);
		return STATUS(BUSY);
	}
	ledger_retain(ledger);
	object_init(&claim->object, &interface_descs[INTERFACE_DEVICE], &claim_ops);
	if (!stop(claim)) {
		object_release(&claim->object);
		return STATUS(DISCONNECTED);
	}
	out->device = &claim->object;
	return STATUS_OK;
}

status_t method_device_manager_type_of(struct call *call,
	const struct device_manager_type_of_params *in, struct device_manager_type_of_results *out)
{
	const struct device *device = device_find(in->number);
	(void)call;
	if (!device)
		return STATUS(NOT_FOUND);
	out->type = device->virtio.id;
	return STATUS_OK;
}
