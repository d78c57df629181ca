/* HostShare: bytes of named files for the host, as messages of the host channel (u64 offset, u32
 * length of the name, the name, the bytes), and names of files that are gone. */
#include "call/call.h"
#include "core/string.h"
#include "dev/channel.h"
#include "kernel/methods.h"
#include "object/host_share.h"

#define DATA_BYTES_MAX 65536u

struct file_message {
	uint64_t offset;
	uint32_t name_length;
	char name[HOST_NAME_BYTES_MAX];
} __attribute__((packed));

#define FILE_MESSAGE_HEAD offsetof(struct file_message, name)

static status_t send_user(
	struct call *call, struct file_message *message, const struct buffer_in *data)
{
	void *scratch = call_scratch(call->thread);
	status_t status = STATUS_OK;
	size_t sent = 0;
	if (!scratch)
		return STATUS(NO_MEMORY);
	do {
		size_t left = data->length - sent;
		size_t part = left < CALL_SCRATCH_BYTES ? left : CALL_SCRATCH_BYTES;
		status = buffer_read(data, sent, scratch, part);
		if (status == STATUS_OK)
			status = channel_send(CAPOS_HOST_MESSAGE_FILE, message,
				FILE_MESSAGE_HEAD + message->name_length, scratch, part);
		sent += part;
		message->offset += part;
	} while (status == STATUS_OK && sent < data->length);
	return status;
}

/* Reads a name into HOST_NAME_BYTES_MAX bytes. */
static status_t read_name(struct call *call, const struct buffer_in *from, char *name)
{
	if (from->length > HOST_NAME_BYTES_MAX) {
		call->detail = HOST_NAME_BYTES_MAX;
		return STATUS(INVALID_ARGUMENT);
	}
	status_t status = buffer_read(from, 0, name, from->length);
	if (status != STATUS_OK)
		return status;
	return host_name_allowed(name, from->length) ? STATUS_OK : STATUS(INVALID_ARGUMENT);
}

status_t method_host_share_write(struct call *call, const struct host_share_write_params *in,
	struct host_share_write_results *out)
{
	(void)out;
	struct file_message message = { .offset = in->offset,
		.name_length = (uint32_t)in->name.length };
	if (in->data.length > DATA_BYTES_MAX || in->offset > INT64_MAX - DATA_BYTES_MAX) {
		call->detail = DATA_BYTES_MAX;
		return STATUS(INVALID_ARGUMENT);
	}
	status_t status = read_name(call, &in->name, message.name);
	if (status != STATUS_OK)
		return status;
	if (!channel_present())
		return STATUS(DISCONNECTED);
	if (!in->data.kernel)
		return send_user(call, &message, &in->data);
	return channel_send(CAPOS_HOST_MESSAGE_FILE, &message,
		FILE_MESSAGE_HEAD + message.name_length, in->data.kernel, in->data.length);
}

status_t method_host_share_remove(struct call *call, const struct host_share_remove_params *in,
	struct host_share_remove_results *out)
{
	(void)out;
	char name[HOST_NAME_BYTES_MAX];
	status_t status = read_name(call, &in->name, name);
	if (status != STATUS_OK)
		return status;
	if (!channel_present())
		return STATUS(DISCONNECTED);
	return channel_send(CAPOS_HOST_MESSAGE_FILE_GONE, name, in->name.length, NULL, 0);
}
