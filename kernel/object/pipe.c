/* PipeReader and PipeWriter: the two ends of a buffer of bytes.
 *
 *     a write                                     a read
 *     turn_take_locked: its turn                  turn_take_locked: its turn
 *     wait_ready_locked: room                     wait_ready_locked: bytes, or no writer
 *     (no lock) copies into the buffer            (no lock) copies out of the buffer
 *     pipe_ring_put, wakes the reader             pipe_ring_take, wakes the writer
 *     turn_give_locked: the next one              turn_give_locked: the next one
 *
 * Bytes are copied once on each side, between user memory and the buffer, and with no lock held
 * because user memory may fault. That is safe because one thread of each side has the turn: only it
 * moves the position of its side, and what it copies lies beyond the other's. A position moves when
 * all bytes were copied, so an address that is bad has neither written nor taken anything.
 *
 * The turn passes from a thread straight to the first that waits for it. So those who write or read
 * are served in the order in which they came, and of each side at most one waits for the other
 * side. A thread that has the turn gives it back whatever ends its wait; no lock is held for longer
 * than a few stores and the wake of one thread. models/pipe.pml is the model.
 *
 * Events are bound to an end for those who wait for many things at once. They are signalled when
 * the end has become ready, once for each time that a call has found it not so (end->missed). So
 * bytes for which no call has come too early cost no signal.
 *
 * An end is an object, and lives until its last reference is gone; a call in progress and a message
 * that carries it count. The record and the buffer live until both ends are gone. */
#include "call/call.h"
#include "core/log.h"
#include "kernel/methods.h"
#include "mm/ledger.h"
#include "mm/memory_object.h"
#include "object/pipe_ring.h"
#include "proc/binding.h"
#include "proc/process.h"
#include "sched/sched.h"
#include "sched/thread.h"
#include "sched/wait.h"

_Static_assert(PIPE_RING_PAGE == PAGE_SIZE, "the pages of the ring are frames");
_Static_assert(CAPOS_PIPE_WRITE_WHOLE <= PAGE_SIZE, "the smallest pipe has room for it");

/* One side's right to move its position. Guarded by the pipe's lock. */
struct turn {
	bool taken;
	struct wait_queue next;
};

struct pipe_end {
	struct object object;
	struct pipe *pipe; /* set at creation, never changed */

	/* Guarded by the pipe's lock. */
	bool gone; /* no reference is left */
	struct turn turn;
	struct wait_queue ready; /* the thread that has the turn, until the other side moves */
	uint32_t wanted;         /* bytes or room for which it waits */
	bool missed;             /* the events are to be signalled when the end is ready */
	struct binding events[CAPOS_PIPE_BINDINGS_MAX];
};

struct pipe {
	/* Set at creation, never changed. */
	struct ledger *ledger;        /* charged for this record; referenced */
	struct memory_object *buffer; /* referenced */

	struct spinlock lock;
	struct pipe_ring ring; /* guarded by lock; the side that has the turn reads its position */
	struct pipe_end reader, writer;
};

static struct pipe_end *end_from(struct object *object)
{
	return container_of(object, struct pipe_end, object);
}

static struct pipe_end *other_end(struct pipe_end *end)
{
	struct pipe *pipe = end->pipe;
	return end == &pipe->reader ? &pipe->writer : &pipe->reader;
}

/* ---- turns ---- */

/* A call that is not to wait has no use for the clock. */
#define DEADLINE_PAST 0

static uint64_t deadline_of(uint64_t timeout_ns)
{
	return timeout_ns ? deadline_after(timeout_ns) : DEADLINE_PAST;
}

static status_t wait_locked(struct wait_queue *queue, struct pipe *pipe, uint64_t deadline_ns)
{
	assert_held(&pipe->lock);
	if (deadline_ns == DEADLINE_PAST)
		return STATUS(TIMED_OUT);
	return wait_queue_wait(queue, &pipe->lock, deadline_ns, true);
}

/* On success the calling thread has the turn. */
static status_t turn_take_locked(struct pipe_end *end, uint64_t deadline_ns)
{
	assert_held(&end->pipe->lock);
	if (end->turn.taken)
		return wait_locked(&end->turn.next, end->pipe, deadline_ns);
	end->turn.taken = true;
	return STATUS_OK;
}

/* A thread that is woken has the turn. */
static void turn_give_locked(struct pipe_end *end)
{
	assert_held(&end->pipe->lock);
	ASSERT(end->turn.taken);
	end->turn.taken = wait_queue_wake(&end->turn.next, 1) != 0;
}

/* ---- readiness ---- */

/* What the end has: bytes to read, or room to write. */
static uint32_t amount_locked(const struct pipe_end *end)
{
	const struct pipe *pipe = end->pipe;
	assert_held(&pipe->lock);
	return end == &pipe->reader ? pipe_ring_count(&pipe->ring) : pipe_ring_room(&pipe->ring);
}

/* The calling thread has the turn. */
static status_t wait_ready_locked(struct pipe_end *end, uint32_t wanted, uint64_t deadline_ns)
{
	status_t status = STATUS_OK;
	assert_held(&end->pipe->lock);
	while (status == STATUS_OK && amount_locked(end) < wanted && !other_end(end)->gone) {
		end->wanted = wanted;
		status = wait_locked(&end->ready, end->pipe, deadline_ns);
	}
	return status;
}

/* Signals to be sent when the lock has been left. */
struct due {
	uint32_t count;
	struct event_signal signals[CAPOS_PIPE_BINDINGS_MAX];
};

/* Calls have found the end not ready, or the other side has moved. */
static void signal_ready_locked(struct pipe_end *end, struct due *due)
{
	uint32_t wanted = end == &end->pipe->reader ? 1 : CAPOS_PIPE_WRITE_WHOLE;
	assert_held(&end->pipe->lock);
	if (!end->missed || (amount_locked(end) < wanted && !other_end(end)->gone))
		return;
	end->missed = false;
	for (uint32_t i = 0; i < CAPOS_PIPE_BINDINGS_MAX; i++) {
		struct event_signal signal = binding_due_locked(&end->events[i]);
		if (signal.event)
			due->signals[due->count++] = signal;
	}
}

static void send_due(struct due *due)
{
	while (due->count)
		event_signal_send(due->signals[--due->count]);
}

/* A call has ended so. */
static void note_end_locked(struct pipe_end *end, status_t status, struct due *due)
{
	assert_held(&end->pipe->lock);
	if (status != STATUS(TIMED_OUT))
		return;
	end->missed = true;
	signal_ready_locked(end, due);
}

/* The other side has moved, or is gone. */
static void wake_ready_locked(struct pipe_end *end, struct due *due)
{
	assert_held(&end->pipe->lock);
	if (amount_locked(end) >= end->wanted || other_end(end)->gone)
		wait_queue_wake(&end->ready, 1);
	signal_ready_locked(end, due);
}

/* ---- copies ---- */

/* Where the bytes of a piece are. */
static uint8_t *piece_at(struct pipe *pipe, const struct pipe_piece *piece)
{
	uint8_t *page = phys_to_virt(memory_object_frame(pipe->buffer, piece->page));
	return page + piece->offset;
}

/* Into the room behind the tail. The calling thread has the writers' turn. */
static status_t copy_in(
	struct pipe *pipe, const struct buffer_in *data, size_t from, uint32_t length)
{
	uint64_t tail = pipe->ring.tail;
	status_t status = STATUS_OK;
	assert_none_held();
	for (uint32_t done = 0; status == STATUS_OK && done < length;) {
		struct pipe_piece piece = pipe_ring_piece(&pipe->ring, tail + done, length - done);
		status = buffer_read(data, from + done, piece_at(pipe, &piece), piece.length);
		done += piece.length;
		if (done < length)
			sched_preemption_point();
	}
	return status;
}

/* From the head on. The calling thread has the readers' turn. */
static status_t copy_out(struct pipe *pipe, struct buffer_out *data, uint32_t length)
{
	uint64_t head = pipe->ring.head;
	status_t status = STATUS_OK;
	assert_none_held();
	for (uint32_t done = 0; status == STATUS_OK && done < length;) {
		struct pipe_piece piece = pipe_ring_piece(&pipe->ring, head + done, length - done);
		status = buffer_write(data, piece_at(pipe, &piece), piece.length);
		done += piece.length;
		if (done < length)
			sched_preemption_point();
	}
	return status;
}

/* ---- read ---- */

/* The bytes have reached the reader, or (0) none have. */
static void end_read(struct pipe *pipe, uint32_t length)
{
	struct due due = { .count = 0 };
	spin_lock(&pipe->lock);
	pipe_ring_take(&pipe->ring, length);
	turn_give_locked(&pipe->reader);
	if (length)
		wake_ready_locked(&pipe->writer, &due);
	spin_unlock(&pipe->lock);
	send_due(&due);
}

/* Of a message: the call's object, an end, is the bytes' place. */
static void read_settled(const void *end, size_t length, bool delivered)
{
	end_read(((const struct pipe_end *)end)->pipe, delivered ? (uint32_t)length : 0);
}

/* The bytes that there are, up to most. On success the calling thread has the turn if there are
 * any. */
static status_t begin_read(struct pipe *pipe, uint64_t most, uint64_t deadline_ns, uint32_t *length)
{
	struct pipe_end *end = &pipe->reader;
	struct due due = { .count = 0 };
	spin_lock(&pipe->lock);
	status_t status = turn_take_locked(end, deadline_ns);
	if (status == STATUS_OK) {
		status = wait_ready_locked(end, 1, deadline_ns);
		uint32_t count = pipe_ring_count(&pipe->ring);
		*length = most < count ? (uint32_t)most : count;
		if (status != STATUS_OK || !count)
			turn_give_locked(end);
	}
	note_end_locked(end, status, &due);
	spin_unlock(&pipe->lock);
	send_due(&due);
	return status;
}

status_t method_pipe_reader_read(struct call *call, const struct pipe_reader_read_params *in,
	struct pipe_reader_read_results *out)
{
	struct pipe *pipe = end_from(call->object)->pipe;
	struct buffer_out *data = &out->data;
	uint64_t most = in->max_bytes < data->capacity ? in->max_bytes : data->capacity;
	uint32_t length = 0;
	if (!most)
		return STATUS(INVALID_ARGUMENT);
	status_t status = begin_read(pipe, most, deadline_of(in->timeout_ns), &length);
	if (status != STATUS_OK || !length)
		return status;
	status = copy_out(pipe, data, length);
	if (status == STATUS_OK && data->kernel) {
		call->settle = read_settled;
		call->settle_bytes = &pipe->reader;
		call->settle_size = length;
		return STATUS_OK;
	}
	end_read(pipe, status == STATUS_OK ? length : 0);
	return status;
}

/* ---- write ---- */

/* The next bytes of a write, of which some have been written. The calling thread has the turn, and
 * the lock is held, but for the copy. */
static status_t write_next_locked(
	struct pipe *pipe, const struct buffer_in *data, uint64_t deadline_ns, uint64_t *written)
{
	struct due due = { .count = 0 };
	uint64_t left = data->length - *written;
	uint32_t wanted = left < CAPOS_PIPE_WRITE_WHOLE ? (uint32_t)left : CAPOS_PIPE_WRITE_WHOLE;
	assert_held(&pipe->lock);
	status_t status = wait_ready_locked(&pipe->writer, wanted, deadline_ns);
	if (pipe->reader.gone)
		return STATUS(DISCONNECTED);
	if (status != STATUS_OK)
		return status;
	uint32_t room = pipe_ring_room(&pipe->ring);
	uint32_t length = left < room ? (uint32_t)left : room;
	spin_unlock(&pipe->lock);
	status = copy_in(pipe, data, *written, length);
	spin_lock(&pipe->lock);
	if (status != STATUS_OK)
		return status;
	pipe_ring_put(&pipe->ring, length);
	*written += length;
	wake_ready_locked(&pipe->reader, &due);
	if (due.count) { /* before this waits for the reader, who may wait for the event */
		spin_unlock(&pipe->lock);
		send_due(&due);
		spin_lock(&pipe->lock);
	}
	return STATUS_OK;
}

status_t method_pipe_writer_write(struct call *call, const struct pipe_writer_write_params *in,
	struct pipe_writer_write_results *out)
{
	struct pipe *pipe = end_from(call->object)->pipe;
	uint64_t deadline_ns = deadline_of(in->timeout_ns), written = 0;
	struct due due = { .count = 0 };
	spin_lock(&pipe->lock);
	status_t status = turn_take_locked(&pipe->writer, deadline_ns);
	if (status == STATUS_OK) {
		do
			status = write_next_locked(pipe, &in->data, deadline_ns, &written);
		while (status == STATUS_OK && written < in->data.length);
		turn_give_locked(&pipe->writer);
	}
	note_end_locked(&pipe->writer, status, &due);
	spin_unlock(&pipe->lock);
	send_due(&due);
	out->count = written;
	return written ? STATUS_OK : status;
}

/* ---- events ---- */

/* Of the event, else one that is free or signals nothing any more; NULL: there is neither. */
static struct binding *binding_for_locked(struct pipe_end *end, const struct object *event)
{
	struct binding *found = NULL;
	assert_held(&end->pipe->lock);
	for (uint32_t i = 0; i < CAPOS_PIPE_BINDINGS_MAX; i++) {
		if (end->events[i].event == event)
			return &end->events[i];
		if (!found && (!end->events[i].event || binding_is_revoked_locked(&end->events[i])))
			found = &end->events[i];
	}
	return found;
}

static status_t end_bind(
	struct pipe_end *end, struct object *event, struct lease *lease, uint64_t bits)
{
	struct pipe *pipe = end->pipe;
	struct due due = { .count = 0 };
	struct bound before = { .event = NULL };
	spin_lock(&pipe->lock);
	struct binding *binding = binding_for_locked(end, event);
	if (binding)
		before = binding_detach_locked(binding);
	if (binding && bits) {
		binding_attach_locked(binding, event, lease, bits);
		end->missed = true;
		signal_ready_locked(end, &due);
	}
	spin_unlock(&pipe->lock);
	bound_release(before);
	send_due(&due);
	return binding || !bits ? STATUS_OK : STATUS(LIMIT_REACHED);
}

static status_t bind(struct call *call, uint64_t cap, uint64_t bits)
{
	struct object *event = event_find(call->process, cap);
	if (!event)
		return STATUS(NOT_FOUND);
	status_t status =
		end_bind(end_from(call->object), event, call->thread->lease_use.lease, bits);
	object_release(event);
	return status;
}

status_t method_pipe_reader_bind(struct call *call, const struct pipe_reader_bind_params *in,
	struct pipe_reader_bind_results *out)
{
	(void)out;
	return bind(call, in->event, in->bits);
}

status_t method_pipe_writer_bind(struct call *call, const struct pipe_writer_bind_params *in,
	struct pipe_writer_bind_results *out)
{
	(void)out;
	return bind(call, in->event, in->bits);
}

/* ---- life ---- */

static void pipe_free(struct pipe *pipe)
{
	struct ledger *ledger = pipe->ledger;
	object_release(&pipe->buffer->object);
	kmem_free(ledger, pipe);
	ledger_release(ledger);
}

/* No call of the end is in progress, because a call has a reference. */
static void end_destroy(struct object *object)
{
	struct pipe_end *end = end_from(object), *other = other_end(end);
	struct pipe *pipe = end->pipe;
	struct due due = { .count = 0 };
	for (uint32_t i = 0; i < CAPOS_PIPE_BINDINGS_MAX; i++)
		binding_end(&end->events[i]);
	spin_lock(&pipe->lock);
	ASSERT(!end->turn.taken);
	end->gone = true;
	bool last = other->gone;
	if (!last)
		wake_ready_locked(other, &due);
	spin_unlock(&pipe->lock);
	send_due(&due);
	if (last)
		pipe_free(pipe);
}

static const struct object_ops end_ops = { .destroy = end_destroy };

static void end_init(struct pipe_end *end, struct pipe *pipe, unsigned interface)
{
	end->pipe = pipe;
	wait_queue_init(&end->turn.next);
	wait_queue_init(&end->ready);
	for (uint32_t i = 0; i < CAPOS_PIPE_BINDINGS_MAX; i++)
		binding_init(&end->events[i], &end->object, &pipe->lock);
	object_init(&end->object, &interface_descs[interface], &end_ops);
}

static status_t pipe_create(struct ledger *ledger, uint64_t bytes, struct pipe **result)
{
	struct pipe *pipe = kmem_alloc(ledger, sizeof *pipe);
	if (!pipe)
		return STATUS(NO_MEMORY);
	status_t status = memory_object_create(ledger, bytes, &pipe->buffer);
	if (status != STATUS_OK) {
		kmem_free(ledger, pipe);
		return status;
	}
	pipe->ledger = ledger_retain(ledger);
	spin_init(&pipe->lock, LOCK_RANK_OBJECT);
	pipe_ring_init(&pipe->ring, (uint32_t)(pipe->buffer->pages * PAGE_SIZE));
	end_init(&pipe->reader, pipe, INTERFACE_PIPE_READER);
	end_init(&pipe->writer, pipe, INTERFACE_PIPE_WRITER);
	*result = pipe;
	return STATUS_OK;
}

/* Of a message: the program did not learn the ids. */
static void create_settled(const void *bytes, size_t size, bool delivered)
{
	const struct capos_pipe_ends *ends = bytes;
	struct cap_table *caps = &thread_current()->process->caps;
	(void)size;
	if (!delivered && cap_table_release(caps, ends->reader))
		(void)!cap_table_release(caps, ends->writer);
}

/* Two slots are set aside, and the caller learns their ids before they hold anything, because
 * after that nothing can fail. */
static status_t create_named(struct call *call, uint64_t bytes, struct buffer_out *out,
	const struct capos_pipe_ends *ends)
{
	struct cap_table *caps = &call->process->caps;
	struct pipe *pipe;
	status_t status = pipe_create(call->process->space->ledger, bytes, &pipe);
	if (status != STATUS_OK)
		return status;
	status = buffer_write(out, ends, sizeof *ends);
	if (status != STATUS_OK) {
		object_release(&pipe->reader.object);
		object_release(&pipe->writer.object);
		return status;
	}
	struct object *writer = &pipe->writer.object;
	cap_table_commit(caps, ends->reader, &pipe->reader.object);
	cap_table_commit(caps, ends->writer, writer);
	if (out->kernel) {
		call->settle = create_settled;
		call->settle_bytes = out->kernel;
	}
	return STATUS_OK;
}

status_t method_pipe_factory_create(struct call *call, const struct pipe_factory_create_params *in,
	struct pipe_factory_create_results *out)
{
	struct cap_table *caps = &call->process->caps;
	struct capos_pipe_ends ends;
	if (!in->bytes || in->bytes > CAPOS_PIPE_BYTES_MAX || out->ends.capacity < sizeof ends)
		return STATUS(INVALID_ARGUMENT);
	status_t status = cap_table_reserve(caps, &ends.reader);
	if (status != STATUS_OK)
		return status;
	status = cap_table_reserve(caps, &ends.writer);
	if (status == STATUS_OK) {
		status = create_named(call, in->bytes, &out->ends, &ends);
		if (status != STATUS_OK)
			cap_table_abandon(caps, ends.writer);
	}
	if (status != STATUS_OK)
		cap_table_abandon(caps, ends.reader);
	return status;
}
