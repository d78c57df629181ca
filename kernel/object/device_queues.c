/* The queues of a Device: submit and collect, and their memory. dev/device_queue.c has what is
 * written and read there. */
#include "call/call.h"
#include "core/string.h"
#include "kernel/methods.h"
#include "mm/kmem.h"
#include "mm/ledger.h"
#include "mm/memory_object.h"
#include "object/device.h"
#include "sched/explore.h"
#include "sched/sched.h"

#define FRAMES_AT_ONCE 64u

_Static_assert(CAPOS_DEVICE_BATCH_MAX * sizeof(struct capos_device_buffer) <= CALL_SCRATCH_BYTES,
	"a batch fits the buffer of a thread");

/* ---- memory ---- */

static void free_queue(struct claim_queue *queue)
{
	struct ledger *ledger = queue->ledger;
	if (queue->memory)
		frame_free(ledger, queue->memory, queue->order);
	kmem_free(ledger, queue->frames);
	object_release(memory_object_header(queue->pool));
	kmem_free(ledger, queue);
	ledger_release(ledger);
}

/* All pages of the pool get their frames, and keep them as long as it lives. */
static void list_frames(struct claim_queue *queue)
{
	for (uint64_t i = 0; i < queue->pool->pages; i++) {
		queue->frames[i] = memory_object_frame(queue->pool, i);
		if (i % FRAMES_AT_ONCE == FRAMES_AT_ONCE - 1)
			sched_preemption_point();
	}
}

static struct claim_queue *make_queue(
	struct ledger *ledger, uint32_t size, struct memory_object *pool)
{
	struct claim_queue *queue =
		kmem_alloc(ledger, sizeof *queue + size * sizeof queue->entries[0]);
	if (!queue)
		return NULL;
	object_retain(memory_object_header(pool));
	queue->pool = pool;
	queue->ledger = ledger_retain(ledger);
	while (PAGE_SIZE << queue->order < device_queue_bytes(size))
		queue->order++;
	queue->memory = frame_alloc(ledger, queue->order, FRAME_ZERO);
	queue->frames = kmem_alloc(ledger, pool->pages * sizeof queue->frames[0]);
	if (!queue->memory || !queue->frames) {
		free_queue(queue);
		return NULL;
	}
	list_frames(queue);
	device_queue_init(&queue->ring, size, phys_to_virt(queue->memory), queue->entries,
		queue->frames, pool->pages);
	return queue;
}

static volatile uint8_t *start_queue(
	const struct virtio_device *virtio, const struct claim_queue *queue, uint32_t number)
{
	uint32_t size = queue->ring.size;
	const struct virtqueue_place place = {
		.number = number,
		.size = size,
		.descriptors = queue->memory,
		.available = queue->memory + size * sizeof(struct virtq_descriptor),
		.used = queue->memory + device_queue_used_offset(size),
	};
	return virtio->transport->queue_start(virtio, &place);
}

status_t claim_add_queue(struct device_claim *claim, struct ledger *ledger, uint32_t number,
	uint32_t size, struct memory_object *pool)
{
	const struct virtio_device *virtio = &claim->device->virtio;
	uint32_t most = virtio->transport->queue_size_max(virtio, number);
	if (!most)
		return STATUS(NOT_FOUND);
	if (size > most)
		return STATUS(INVALID_ARGUMENT);
	if (pool->pages > CAPOS_DEVICE_POOL_PAGES_MAX)
		return STATUS(LIMIT_REACHED);
	struct claim_queue *queue = make_queue(ledger, size, pool);
	if (!queue)
		return STATUS(NO_MEMORY);
	queue->notify = start_queue(virtio, queue, number);
	if (!queue->notify) {
		free_queue(queue);
		return STATUS(DISCONNECTED);
	}
	spin_lock(&claim->device->lock);
	claim->queues[number] = queue;
	spin_unlock(&claim->device->lock);
	return STATUS_OK;
}

void claim_free_queues(struct device_claim *claim)
{
	for (uint32_t i = 0; i < CAPOS_DEVICE_QUEUES_MAX; i++) {
		spin_lock(&claim->device->lock);
		struct claim_queue *queue = claim->queues[i];
		claim->queues[i] = NULL;
		spin_unlock(&claim->device->lock);
		if (queue)
			free_queue(queue);
	}
}

/* ---- use ---- */

static status_t find_queue_locked(
	struct device_claim *claim, uint64_t number, struct claim_queue **queue)
{
	assert_held(&claim->device->lock);
	if (claim->state != CLAIM_RUNNING)
		return STATUS(WRONG_STATE);
	*queue = number < CAPOS_DEVICE_QUEUES_MAX ? claim->queues[number] : NULL;
	if (!*queue)
		return STATUS(NOT_FOUND);
	return (*queue)->ring.wrong ? STATUS(DISCONNECTED) : STATUS_OK;
}

static status_t submit(struct device_claim *claim, uint64_t number,
	const struct capos_device_buffer *buffers, size_t count, uint64_t *left)
{
	struct claim_queue *queue;
	if (claim->device->virtio.id == VIRTIO_ID_ENTROPY)
		explore_ask_begin();
	spin_lock(&claim->device->lock);
	status_t status = find_queue_locked(claim, number, &queue);
	if (status == STATUS_OK)
		status = device_queue_check(&queue->ring, buffers, count);
	if (status == STATUS_OK) {
		device_queue_put(&queue->ring, buffers, count);
		*left = queue->ring.free_count;
		if (device_queue_publish(&queue->ring))
			claim->device->virtio.transport->queue_notify(
				queue->notify, (uint32_t)number);
	}
	spin_unlock(&claim->device->lock);
	if (claim->device->virtio.id == VIRTIO_ID_ENTROPY)
		explore_ask_end();
	return status;
}

status_t method_device_submit(
	struct call *call, const struct device_submit_params *in, struct device_submit_results *out)
{
	size_t size = in->buffers.length, count = size / sizeof(struct capos_device_buffer);
	const struct capos_device_buffer *buffers = in->buffers.kernel;
	if (!count || count > CAPOS_DEVICE_BATCH_MAX || size % sizeof(struct capos_device_buffer))
		return STATUS(INVALID_ARGUMENT);
	if (!buffers) {
		void *copy = call_scratch(call->thread);
		if (!copy)
			return STATUS(NO_MEMORY);
		status_t status = buffer_read(&in->buffers, 0, copy, size);
		if (status != STATUS_OK)
			return status;
		buffers = copy;
	}
	return submit(claim_from(call->object), in->queue, buffers, count, &out->entries);
}

static status_t collect(struct device_claim *claim, uint64_t number, struct capos_device_done *done,
	size_t room, size_t *count)
{
	struct claim_queue *queue;
	*count = 0;
	spin_lock(&claim->device->lock);
	status_t status = find_queue_locked(claim, number, &queue);
	while (status == STATUS_OK && *count < room &&
		device_queue_take(&queue->ring, &done[*count]))
		++*count;
	if (status == STATUS_OK && !*count && queue->ring.wrong)
		status = STATUS(DISCONNECTED);
	spin_unlock(&claim->device->lock);
	return status;
}

status_t method_device_collect(struct call *call, const struct device_collect_params *in,
	struct device_collect_results *out)
{
	size_t room = out->done.capacity / sizeof(struct capos_device_done), count;
	struct capos_device_done *done = out->done.kernel;
	if (!room)
		return STATUS(INVALID_ARGUMENT);
	if (room > CAPOS_DEVICE_BATCH_MAX)
		room = CAPOS_DEVICE_BATCH_MAX;
	if (!done)
		done = call_scratch(call->thread);
	if (!done)
		return STATUS(NO_MEMORY);
	status_t status = collect(claim_from(call->object), in->queue, done, room, &count);
	if (status != STATUS_OK)
		return status;
	if (!out->done.kernel)
		return buffer_write(&out->done, done, count * sizeof done[0]);
	out->done.length = count * sizeof done[0];
	return STATUS_OK;
}
