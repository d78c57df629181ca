/* virtio devices (virtio 1.2) and split virtqueues (section 2.7). They offer only what a console
 * and an entropy source need: one page for a queue, buffers at fixed kernel addresses, no indirect
 * descriptors. A transport reaches the registers: virtio_mmio.c, virtio_pci.c. The kernel's own
 * devices are set up at boot; a queue is used in any context, by one caller at a time. Devices that
 * programs drive have the queues of device_queue.h, and use the transports alone. */
#ifndef CAPOS_DEV_VIRTIO_H
#define CAPOS_DEV_VIRTIO_H

#include <stdbool.h>
#include <stdint.h>

#include <capos/abi.h>

#include "dev/pci.h"
#include "machine/interrupts.h"
#include "mm/frame.h"

#define VIRTIO_ID_NETWORK 1
#define VIRTIO_ID_BLOCK 2
#define VIRTIO_ID_CONSOLE 3
#define VIRTIO_ID_ENTROPY 4
#define VIRTIO_ID_9P 9
#define VIRTIO_ID_INPUT 18
#define VIRTIO_ID_SOCKET 19
#define VIRTQUEUE_SIZE_MAX 16
#define VIRTQUEUE_USED_OFFSET 2048ul /* of the used ring in the queue's page */

struct virtio_transport;

enum virtio_status {
	VIRTIO_ACKNOWLEDGE = 1,
	VIRTIO_DRIVER = 2,
	VIRTIO_DRIVER_OK = 4,
	VIRTIO_FEATURES_OK = 8,
	VIRTIO_NEEDS_RESET = 64,
	VIRTIO_FAILED = 128,
};

struct virtio_mmio {
	volatile uint8_t *registers;
	unsigned gsi;
};

struct virtio_pci {
	struct pci_function function;
	volatile uint8_t *common;
	volatile uint8_t *interrupt_status;
	paddr_t notify_base;
	uint64_t notify_size;
	uint32_t notify_multiplier;
	bool messages;              /* interrupts by MSI-X */
	volatile uint32_t *message; /* its entry in the table */
	/* Of a device that was prepared: the registers of its first queues; NULL: no such queue. */
	volatile uint8_t *notify[CAPOS_DEVICE_QUEUES_MAX];
};

/* Filled by a transport's probe. */
struct virtio_device {
	const struct virtio_transport *transport;
	uint32_t id;
	bool legacy;   /* older than version 1: no VERSION_1, queues named by page number */
	bool prepared; /* virtio_transport.prepare has been called */
	volatile uint8_t *config; /* what the type of device has; NULL: nothing */
	uint32_t config_size;     /* in bytes */
	union {
		struct virtio_mmio mmio;
		struct virtio_pci pci;
	};
};

struct virtq_descriptor {
	uint64_t address;
	uint32_t length;
	uint16_t flags;
	uint16_t next;
};

struct virtq_available {
	uint16_t flags;
	uint16_t index;
	uint16_t ring[VIRTQUEUE_SIZE_MAX];
};

struct virtq_used {
	uint16_t flags;
	uint16_t index;
	struct {
		uint32_t id;
		uint32_t length;
	} ring[VIRTQUEUE_SIZE_MAX];
};

struct virtqueue {
	struct virtio_device *device;
	uint32_t number;
	uint32_t size;
	volatile uint8_t *notify;             /* the transport's */
	struct virtq_descriptor *descriptors; /* the queue's page */
	volatile struct virtq_available *available;
	volatile struct virtq_used *used;
	uint16_t available_index; /* the driver's own copies: the device may write to the page */
	uint16_t used_index;
	uint32_t lengths[VIRTQUEUE_SIZE_MAX]; /* of the buffers offered */
};

/* A queue and where its parts are, for the device. */
struct virtqueue_place {
	uint32_t number, size;
	paddr_t descriptors, available, used;
};

/* The operations of a transport. A device may put any number into its registers; virtio.c checks
 * them. */
struct virtio_transport {
	uint32_t (*status_read)(const struct virtio_device *device);
	void (*status_write)(const struct virtio_device *device, uint32_t status);
	uint32_t (*features_read)(const struct virtio_device *device, uint32_t word);
	void (*features_write)(
		const struct virtio_device *device, uint32_t word, uint32_t features);
	/* A number that changes when the configuration may have. */
	uint32_t (*config_generation)(const struct virtio_device *device);
	uint32_t (*queue_size_max)(const struct virtio_device *device, uint32_t number);
	/* Tells the device of a queue. Returns the register that queue_notify takes, or NULL when
	 * the device cannot have the queue. */
	volatile uint8_t *(*queue_start)(
		const struct virtio_device *device, const struct virtqueue_place *place);
	void (*queue_notify)(volatile uint8_t *notify, uint32_t number);
	/* Boot only: makes the device's registers and its interrupt ready for a driver that comes
	 * later. The first CAPOS_DEVICE_QUEUES_MAX queues can be used then. */
	bool (*prepare)(struct virtio_device *device, struct interrupt_handler handler);
	bool (*interrupt_connect)(struct virtio_device *device, struct interrupt_handler handler);
	/* After a reset: whether changes of the configuration interrupt too. */
	void (*interrupt_for_config)(const struct virtio_device *device, bool wanted);
	/* Returns whether an interrupt was this device's. */
	bool (*interrupt_acknowledge)(const struct virtio_device *device);
	/* Keeps the device's interrupts back, but for a line that it shares. */
	void (*interrupt_mask)(const struct virtio_device *device, bool masked);
};

/* Probes the device behind mmio registers, of so many bytes. False when there is none or its
 * version is unknown. */
bool virtio_mmio_probe(
	struct virtio_device *device, volatile uint8_t *registers, uint64_t size, unsigned gsi);
/* Probes a PCI function. False when it is no virtio device with the modern interface, or describes
 * itself wrongly. */
bool virtio_pci_probe(struct virtio_device *device, const struct pci_function *function);

/* Whether the kernel lets programs drive devices of this type: those whose device writes only where
 * its queues say. What is in a request for a GPU or a balloon names memory too. */
bool virtio_type_is_open(uint32_t id);

/* Asks the device to reset itself, which it has done when the status is 0. */
void virtio_reset_begin(const struct virtio_device *device);
bool virtio_reset_done(const struct virtio_device *device);
/* Boot: both, polling. False when the device has not reset itself in a long time. */
bool virtio_reset(const struct virtio_device *device) MUST_CHECK;
/* After a reset: agrees on VERSION_1 where there is a choice, and on those of the features, which
 * the device must offer. False when the device refuses. */
bool virtio_agree(const struct virtio_device *device, uint64_t features) MUST_CHECK;
uint64_t virtio_features(const struct virtio_device *device);

/* Resets the device and agrees on no optional feature. Its interrupts go to the handler; without
 * one the device is polled. */
bool virtio_begin(struct virtio_device *device, void (*interrupt)(void *)) MUST_CHECK;
/* Sets up queue number with up to size entries; between begin and ready. */
bool virtqueue_init(struct virtqueue *queue, struct virtio_device *device, uint32_t number,
	uint32_t size) MUST_CHECK;
void virtio_ready(const struct virtio_device *device);
/* Gives the device up and tells it so. */
void virtio_fail(struct virtio_device *device);
/* Reads and clears the reasons of the interrupt. Returns whether it was this device's. */
bool virtio_interrupt_acknowledge(const struct virtio_device *device);

/* Offers a kernel buffer as descriptor `index`: for the device to write when writable. The device
 * sees it at the next virtqueue_kick. */
void virtqueue_offer(struct virtqueue *queue, uint16_t index, const void *buffer, uint32_t length,
	bool writable);
void virtqueue_kick(struct virtqueue *queue);
/* The next buffer that the device has finished: its descriptor and the number of bytes written to
 * it. False when there is none. A descriptor that was not offered is ignored. */
bool virtqueue_take(struct virtqueue *queue, uint16_t *index, uint32_t *length);
/* Whether the device interrupts when it has finished with a buffer of this queue. After it is
 * switched on virtqueue_take() is to be asked once more. At the beginning it does. */
void virtqueue_interrupts(struct virtqueue *queue, bool wanted);

#endif
