/* Looks whether the driver of the entropy device has fed the generator and holds its device; with
 * an argument also while the driver is killed, started again, and killed for good. */
#include <stdio.h>
#include <string.h>

#include <capos/capos.h>

#define ENTROPY 4u /* virtio's number of the type */
#define POLL_NS 1000000ull
#define PATIENCE_NS 20000000000ull

/* busy, or 0 when the device was free. */
static int64_t look(void)
{
	capos_cap_t device = 0, manager = capos_caps.devices;
	uint32_t type = 0, number = 0;

	while (capos_device_manager_type_of(manager, number, &type) == 0 && type != ENTROPY)
		number++;
	int64_t status = capos_device_manager_open(manager, number, &device);
	if (status == 0)
		capos_release(device);
	return status;
}

static const char *bytes_text(void)
{
	uint32_t sources = 0;
	uint8_t random[16];

	if (capos_entropy_source_status(capos_caps.entropy, &sources) < 0 ||
		capos_entropy_source_fill(capos_caps.entropy, sizeof(random), random,
			sizeof(random)) != sizeof(random))
		return "fail";
	return sources & 4 ? "count" : "do not count";
}

static void await(int64_t wanted)
{
	uint64_t until_ns = capos_now_ns() + PATIENCE_NS;

	while (look() != wanted && capos_now_ns() < until_ns)
		capos_sleep_ns(POLL_NS);
}

static void tell(void)
{
	int64_t status = look();

	printf("client: the device is %s, its bytes %s\n",
		status == CAPOS_E(BUSY) ? "taken"
			: status == 0   ? "free"
					: "lost",
		bytes_text());
}

/* init hears of the driver's end after the device is free, and does not once the system ends. */
static void await_given_up(void)
{
	struct capos_init_event event = { 0 };

	while (event.kind != CAPOS_INIT_EVENT_KIND_GAVE_UP) {
		struct capos_message message = { .words = { event.number + 1 } };

		if (capos_endpoint_call(capos_cap("init_log"), &message, CAPOS_WAIT_FOREVER) == 0)
			memcpy(&event, message.words, sizeof(event));
		else
			capos_sleep_ns(POLL_NS);
	}
}

int main(int argc, char **argv)
{
	(void)argv;
	tell();
	for (int i = 0; argc > 1 && i < 3; i++) {
		await(i % 2 == 0 ? 0 : CAPOS_E(BUSY));
		tell();
	}
	if (argc > 1)
		await_given_up();
	return 0;
}
