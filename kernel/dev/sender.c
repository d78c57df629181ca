/* See sender.h.
 *
 * Bytes go into a ring under one lock, and from there to the device as it takes them: when they are
 * put in, and in the device's interrupt. The interrupt is asked for only while something waits.
 *
 * A thread that has to wait does so under another lock, because waking needs the scheduler's locks.
 * It looks once more with that lock held, and a CPU that makes room takes it before waking; so no
 * wake-up is lost. Bulk writers wait for their turn first, so that small messages cannot keep a
 * large one out for good. Others have no turn: what the host lacks from a bulk writer must not hold
 * back what it needs to go on. */
#include "dev/sender.h"

#include "arch/cpu.h"
#include "arch/tlb.h"
#include "core/lock.h"
#include "core/log.h"
#include "dev/channel_output.h"
#include "mm/frame.h"
#include "machine/clock.h"
#include "sched/sched.h"
#include "sched/wait.h"

#define QUEUE_ORDER 5u
#define QUEUE_BYTES (PAGE_SIZE << QUEUE_ORDER)
#define RESERVE_BYTES (4u << 10) /* room that bulk output leaves to the rest */
#define LOOK_AGAIN_NS 50000000ul /* should an interrupt get lost, this much of it is noticed */
#define DRAIN_STEP_NS 1000000ul
#define DRAIN_PATIENCE_NS 10000000000ul
#define ALONE_POLLS 20000000u

_Static_assert(SENDER_BYTES_MAX + RESERVE_BYTES <= QUEUE_BYTES, "everything fits an empty queue");

static const struct transport *transport;

static struct spinlock output_lock = SPINLOCK_INIT(CHANNEL);
static struct channel_output output; /* guarded by output_lock, like the three below */
static bool notified;                /* the device interrupts */
static size_t awaited_size;          /* the least that a waiter wants to put in; 0: none waits */
static bool awaited_bulk;            /* that is bulk output, for every waiter */

static struct spinlock waiters_lock = SPINLOCK_INIT(OBJECT);
static struct wait_queue turn_waiters, room_waiters; /* guarded by waiters_lock */
static bool turn_taken;                              /* guarded by waiters_lock */
static uint32_t bulk_waiters;                        /* atomic */

bool sender_init(const struct transport *device)
{
	paddr_t queue = frame_alloc(KERNEL_PAYS, QUEUE_ORDER, 0);
	if (!queue)
		return false;
	channel_output_init(&output, phys_to_virt(queue), QUEUE_BYTES, RESERVE_BYTES);
	wait_queue_init(&turn_waiters);
	wait_queue_init(&room_waiters);
	transport = device;
	return true;
}

/* ---- the device ---- */

/* A polled device gets one portion, so that its time with interrupts off is bounded. */
static void push_locked(void)
{
	assert_held(&output_lock);
	const uint8_t *bytes;
	size_t size, taken;
	channel_output_sent(&output, transport->sent());
	while ((size = channel_output_next(&output, &bytes)) != 0) {
		taken = transport->send(bytes, size);
		channel_output_started(&output, taken);
		if (!taken || transport->polled)
			break;
	}
	transport->flush();
	channel_output_sent(&output, transport->sent());
}

static void progress_locked(void)
{
	assert_held(&output_lock);
	push_locked();
	bool wanted = awaited_size != 0 || output.started != output.written;
	if (transport->polled || wanted == notified)
		return;
	notified = wanted;
	transport->notify(wanted);
	if (wanted)
		push_locked(); /* the device may have finished before it knew */
}

/* Few wait: of bulk writers the one whose turn it is; of others, threads that grant input to the
 * host, which has only so much of it to be granted, and the kernel's own. */
static void wake_waiters(void)
{
	spin_lock(&waiters_lock);
	wait_queue_wake(&room_waiters, UINT32_MAX);
	spin_unlock(&waiters_lock);
}

/* Whether there is room now for the thread that waits. */
static bool awaited_locked(void)
{
	assert_held(&output_lock);
	if (!awaited_size || !channel_output_fits(&output, awaited_size, awaited_bulk))
		return false;
	awaited_size = 0;
	return true;
}

void sender_interrupt(void)
{
	if (!transport)
		return;
	spin_lock(&output_lock);
	progress_locked();
	bool wake = awaited_locked();
	spin_unlock(&output_lock);
	if (wake)
		wake_waiters();
}

void sender_grant(uint32_t bytes)
{
	spin_lock(&output_lock);
	channel_output_grant(&output, bytes);
	bool wake = awaited_locked();
	spin_unlock(&output_lock);
	if (wake)
		wake_waiters();
}

/* ---- threads that write ---- */

struct request {
	const struct sender_piece *pieces;
	unsigned count;
	size_t size;
	bool bulk;
};

static bool fits_locked(size_t size, bool bulk)
{
	assert_held(&output_lock);
	if (channel_output_fits(&output, size, bulk))
		return true;
	progress_locked();
	if (channel_output_fits(&output, size, bulk))
		return true;
	awaited_bulk = bulk && (awaited_bulk || !awaited_size);
	if (!awaited_size || size < awaited_size)
		awaited_size = size;
	progress_locked();
	return false;
}

static void put_locked(const struct request *request)
{
	assert_held(&output_lock);
	for (unsigned i = 0; i < request->count; i++)
		channel_output_append(&output, request->pieces[i].bytes, request->pieces[i].size);
	if (request->bulk)
		channel_output_charge(&output, request->size);
	progress_locked();
}

static bool try_send(const struct request *request)
{
	spin_lock(&output_lock);
	bool fits = fits_locked(request->size, request->bulk);
	if (fits)
		put_locked(request);
	spin_unlock(&output_lock);
	return fits;
}

/* The lock is waiters_lock. Until something happens that may have made room. */
static status_t wait_for_room_locked(uint64_t at_most_ns)
{
	assert_held(&waiters_lock);
	status_t status =
		wait_queue_wait(&room_waiters, &waiters_lock, clock_now_ns() + at_most_ns, false);
	return status == STATUS(TIMED_OUT) ? STATUS_OK : status;
}

static status_t take_turn_locked(void)
{
	assert_held(&waiters_lock);
	status_t status = STATUS_OK;
	while (turn_taken && status == STATUS_OK)
		status = wait_queue_wait(&turn_waiters, &waiters_lock, DEADLINE_NONE, false);
	if (status == STATUS_OK)
		turn_taken = true;
	return status;
}

static status_t send_waiting(const struct request *request)
{
	status_t status = STATUS_OK;
	spin_lock(&waiters_lock);
	if (request->bulk) {
		__atomic_add_fetch(&bulk_waiters, 1, __ATOMIC_RELAXED);
		status = take_turn_locked();
	}
	bool turn = request->bulk && status == STATUS_OK;
	while (status == STATUS_OK && !try_send(request))
		status = wait_for_room_locked(LOOK_AGAIN_NS);
	if (turn) {
		turn_taken = false;
		wait_queue_wake(&turn_waiters, 1);
	}
	if (request->bulk)
		__atomic_sub_fetch(&bulk_waiters, 1, __ATOMIC_RELAXED);
	spin_unlock(&waiters_lock);
	return status;
}

/* A polled device: the thread that has put something in sends until nothing is left. */
static void drive(void)
{
	bool empty;
	do {
		spin_lock(&output_lock);
		push_locked();
		empty = channel_output_is_empty(&output);
		spin_unlock(&output_lock);
		sched_preemption_point();
	} while (!empty);
}

status_t sender_send(const struct sender_piece *pieces, unsigned count, bool bulk)
{
	struct request request = { .pieces = pieces, .count = count, .bulk = bulk };
	status_t status = STATUS_OK;
	assert_none_held();
	for (unsigned i = 0; i < count; i++)
		request.size += pieces[i].size;
	ASSERT(request.size <= SENDER_BYTES_MAX);
	bool queue = bulk && __atomic_load_n(&bulk_waiters, __ATOMIC_RELAXED);
	if (queue || !try_send(&request))
		status = send_waiting(&request);
	if (transport->polled)
		drive();
	return status;
}

void sender_send_now(const void *bytes, size_t size)
{
	const struct sender_piece piece = { bytes, size };
	const struct request request = { .pieces = &piece, .count = 1, .size = size };
	spin_lock(&output_lock);
	while (!channel_output_fits(&output, size, false) ||
		(transport->polled && !channel_output_is_empty(&output))) {
		push_locked();
		tlb_serve();
		cpu_relax();
	}
	put_locked(&request);
	while (transport->polled && !channel_output_is_empty(&output))
		push_locked();
	spin_unlock(&output_lock);
}

void sender_drain(void)
{
	uint64_t seen = 0, since_ns = clock_now_ns();
	for (;;) {
		spin_lock(&waiters_lock);
		spin_lock(&output_lock);
		bool done = fits_locked(QUEUE_BYTES, false) && transport->idle();
		uint64_t sent = output.sent;
		spin_unlock(&output_lock);
		if (sent != seen) {
			seen = sent;
			since_ns = clock_now_ns();
		}
		bool patient = clock_now_ns() - since_ns < DRAIN_PATIENCE_NS;
		status_t status =
			done || !patient ? STATUS_OK : wait_for_room_locked(DRAIN_STEP_NS);
		spin_unlock(&waiters_lock);
		if (done || !patient || status != STATUS_OK)
			return;
	}
}

void sender_drain_alone(void)
{
	for (unsigned i = 0; transport && i < ALONE_POLLS; i++) {
		if (channel_output_is_empty(&output) && transport->idle())
			return;
		push_locked();
		cpu_relax();
	}
}
