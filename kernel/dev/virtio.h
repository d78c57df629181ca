/* virtio devices (virtio 1.2) and split virtqueues (section 2.7). They offer only what a console
 * and an entropy source need: one page for a queue, buffers at fixed kernel addresses, no indirect
 * descriptors. A transport reaches the registers: virtio_mmio.c, virtio_pci.c. Devices are set up
 * at boot; a queue is used in any context, by one caller at a time. */
#ifndef CAPOS_DEV_VIRTIO_H
#define CAPOS_DEV_VIRTIO_H

#include <stdbool.h>
#include <stdint.h>

#include "dev/pci.h"
#include "mm/frame.h"

#define VIRTIO_ID_CONSOLE 3
#define VIRTIO_ID_ENTROPY 4
#define VIRTQUEUE_SIZE_MAX 16
#define VIRTQUEUE_USED_OFFSET 2048ul /* of the used ring in the queue's page */

struct virtio_transport;

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
	bool messages; /* interrupts by MSI-X */
};

/* Filled by a transport's probe. */
struct virtio_device {
	const struct virtio_transport *transport;
	uint32_t id;
	bool legacy; /* older than version 1: no feature to agree on, queues named by page number */
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

/* Where a queue's parts are, for the device. */
struct virtqueue_place {
	paddr_t descriptors, available, used;
};

/* The operations of a transport. A device may put any number into its registers; virtio.c checks
 * them. */
struct virtio_transport {
	uint32_t (*status_read)(const struct virtio_device *device);
	void (*status_write)(const struct virtio_device *device, uint32_t status);
	void (*features_write)(
		const struct virtio_device *device, uint32_t word, uint32_t features);
	uint32_t (*queue_size_max)(const struct virtio_device *device, uint32_t number);
	/* Tells the device of a queue whose number and size are set, and sets its notify. */
	bool (*queue_start)(struct virtqueue *queue, const struct virtqueue_place *place);
	void (*queue_notify)(const struct virtqueue *queue);
	bool (*interrupt_connect)(struct virtio_device *device, void (*handler)(void));
	void (*interrupt_acknowledge)(const struct virtio_device *device);
};

/* Probes the device behind mmio registers. False when there is none or its version is unknown. */
bool virtio_mmio_probe(struct virtio_device *device, volatile uint8_t *registers, unsigned gsi);
/* Probes a PCI function. False when it is no virtio device with the modern interface, or describes
 * itself wrongly. */
bool virtio_pci_probe(struct virtio_device *device, const struct pci_function *function);

/* Resets the device and agrees on no optional feature (VERSION_1 where there is a choice). Its
 * interrupts go to the handler. */
bool virtio_begin(struct virtio_device *device, void (*interrupt)(void)) MUST_CHECK;
/* Sets up queue number with up to size entries; between begin and ready. */
bool virtqueue_init(struct virtqueue *queue, struct virtio_device *device, uint32_t number,
	uint32_t size) MUST_CHECK;
void virtio_ready(struct virtio_device *device);
/* Gives the device up and tells it so. */
void virtio_fail(struct virtio_device *device);
/* Reads and clears the reasons of the interrupt. */
void virtio_interrupt_acknowledge(struct virtio_device *device);

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
