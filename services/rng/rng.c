/* rng: drives a virtio entropy device and feeds the kernel's generator with what it gives, at the
 * start and then once a minute. It holds "virtio-rng", "entropy_seed" and, from init, "ready",
 * which it signals after the first bytes. A device that stops answering, or breaks the rules, ends
 * it, and init starts it again with a device that has been reset. docs/drivers.md describes the
 * steps.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <capos/capos.h>

#define ENTROPY 4u /* virtio's number of the type */
#define SEED_BYTES 64u
#define INTERVAL_NS 60000000000ull
#define PATIENCE_NS 5000000000ull
#define DONE 1u  /* of the event: the device's interrupt */
#define NEVER 2u /* of the event: not signalled */

static struct {
	capos_cap_t device, event;
	uint8_t *pool; /* a page */
} rng;

static int failed(const char *what, int64_t status)
{
	fprintf(stderr, "rng: %s: %s\n", what, capos_error_name(status));
	return EXIT_FAILURE;
}

/* 0 or an error: notFound: the machine has no entropy device. A service that may drive any device
 * takes it itself. */
static int64_t open_device(void)
{
	capos_cap_t manager = capos_caps.devices;
	uint32_t type = 0, number = 0;
	int64_t status;

	rng.device = capos_cap("virtio-rng");
	if (rng.device != 0 || manager == 0)
		return 0; /* with neither the first call says what is missing */
	while ((status = capos_device_manager_type_of(manager, number, &type)) == 0 &&
		type != ENTROPY)
		number++;
	return status < 0 ? status : capos_device_manager_open(manager, number, &rng.device);
}

static int64_t make_pool(capos_cap_t *pool)
{
	uint64_t address = 0;
	int64_t status =
		capos_memory_allocator_create(capos_caps.memory_allocator, CAPOS_PAGE_SIZE, pool);

	if (status == 0)
		status = capos_memory_object_map(
			*pool, 0, 0, CAPOS_PAGE_SIZE, CAPOS_PROT_READ | CAPOS_PROT_WRITE, &address);
	rng.pool = (uint8_t *)address;
	return status;
}

static int64_t start_device(void)
{
	uint64_t agreed;
	capos_cap_t pool = 0;
	int64_t status = make_pool(&pool);

	if (status == 0)
		status = capos_event_factory_create(capos_caps.event_factory, &rng.event);
	if (status == 0)
		status = capos_device_negotiate(rng.device, 0, &agreed);
	if (status == 0)
		status = capos_device_add_queue(rng.device, 0, 1, pool);
	if (status == 0)
		status = capos_device_bind(rng.device, rng.event, DONE);
	if (status == 0)
		status = capos_device_start(rng.device);
	return status;
}

/* Asks for bytes and waits for them. Returns how many came, or an error. */
static int64_t ask(void)
{
	const struct capos_device_buffer buffer = { .length = SEED_BYTES,
		.flags = CAPOS_DEVICE_BUFFER_WRITE };
	struct capos_device_done done;
	uint64_t left, bits, until_ns = capos_now_ns() + PATIENCE_NS;
	int64_t status = capos_device_submit(rng.device, 0, &buffer, sizeof(buffer), &left);

	while (status >= 0) {
		status = capos_device_acknowledge(rng.device);
		if (status < 0)
			break;
		status = capos_device_collect(rng.device, 0, &done, sizeof(done));
		if (status > 0)
			return done.length;
		if (status == 0)
			status = capos_event_wait(rng.event, DONE, until_ns, &bits);
	}
	return status;
}

/* Bytes of the pool may change while they are read; it makes no difference to bytes that are mixed
 * into others. */
static int64_t feed(void)
{
	int64_t length = ask();

	if (length <= 0)
		return length;
	int64_t status =
		capos_entropy_seed_add(capos_cap("entropy_seed"), rng.pool, (size_t)length);
	memset(rng.pool, 0, SEED_BYTES);
	return status;
}

int main(void)
{
	uint64_t bits;
	int64_t status = open_device();

	if (status == CAPOS_E(NOT_FOUND)) {
		fprintf(stderr, "rng: the machine has no entropy device\n");
		return EXIT_SUCCESS;
	}
	if (status == 0)
		status = start_device();
	if (status < 0)
		return failed("cannot start the device", status);
	status = feed();
	if (status == 0 && capos_cap("ready") != 0)
		status = capos_event_signal(capos_cap("ready"), 1);
	while (status == 0) {
		status = capos_event_wait(rng.event, NEVER, capos_now_ns() + INTERVAL_NS, &bits);
		if (status == CAPOS_E(TIMED_OUT))
			status = feed();
	}
	return failed("the device gives no bytes", status);
}
