/* Console: the program's three standard streams, as messages of the host channel. The identity of
 * the object tells which of the three it is. stdin cannot be written, and the others cannot be
 * read.
 *
 * Bytes of a compact call are still in user memory: they come through the thread's scratch in
 * pieces, each a message. So a bad address in the middle lets the bytes before it through. */
#include "call/call.h"
#include "core/string.h"
#include "dev/channel.h"
#include "kernel/grants.h"
#include "kernel/methods.h"
#include "sched/sched.h"
#include "sched/thread.h"

static bool output_type(const struct object *object, uint32_t *type)
{
	*type = object == &object_stderr ? CAPOS_HOST_MESSAGE_STDERR : CAPOS_HOST_MESSAGE_STDOUT;
	return object != &object_stdin;
}

/* Long output has many pieces. Other threads may run in between, and a thread that has to die
 * stops. */
static bool may_continue(struct thread *thread)
{
	sched_preemption_point();
	return !(__atomic_load_n(&thread->exit_work, __ATOMIC_RELAXED) & EXIT_WORK_DIE);
}

static status_t write_user(struct call *call, uint32_t type, const struct buffer_in *data,
	const char *tail, size_t tail_size)
{
	char few[128], *scratch = call_scratch(call->thread);
	size_t written = 0, room = CALL_SCRATCH_BYTES;
	status_t status = STATUS_OK;
	if (!scratch) { /* no memory is left, which may be what the program is about to report */
		scratch = few;
		room = sizeof few;
	}
	do {
		size_t left = data->length - written;
		size_t part = left < room ? left : room;
		status = buffer_read(data, written, scratch, part);
		written += part;
		if (status == STATUS_OK)
			status = channel_send(
				type, scratch, part, tail, written == data->length ? tail_size : 0);
	} while (status == STATUS_OK && written < data->length && may_continue(call->thread));
	return status;
}

/* A line is one message, so that no output of other threads gets into it, unless it is too long for
 * that or memory is short. */
static status_t write_user_line(struct call *call, uint32_t type, const struct buffer_in *text,
	const char *tail, size_t tail_size)
{
	void *line = call_buffer(call->thread, text->length);
	if (!line)
		return write_user(call, type, text, tail, tail_size);
	status_t status = buffer_read(text, 0, line, text->length);
	if (status == STATUS_OK)
		status = channel_send(type, line, text->length, tail, tail_size);
	call_buffer_trim(call->thread);
	return status;
}

static status_t console_output(
	struct call *call, const struct buffer_in *data, const char *tail, size_t tail_size)
{
	uint32_t type;
	if (!output_type(call->object, &type))
		return STATUS(NO_RIGHTS);
	if (!data->length && !tail_size)
		return STATUS_OK;
	if (!data->kernel && tail_size && data->length <= CAPOS_MESSAGE_BYTES_MAX)
		return write_user_line(call, type, data, tail, tail_size);
	if (!data->kernel)
		return write_user(call, type, data, tail, tail_size);
	return channel_send(type, data->kernel, data->length, tail, tail_size);
}

status_t method_console_write(
	struct call *call, const struct console_write_params *in, struct console_write_results *out)
{
	(void)out;
	return console_output(call, &in->data, NULL, 0);
}

status_t method_console_write_line(struct call *call, const struct console_write_line_params *in,
	struct console_write_line_results *out)
{
	(void)out;
	return console_output(call, &in->text, "\n", 1);
}

status_t method_console_read(
	struct call *call, const struct console_read_params *in, struct console_read_results *out)
{
	struct buffer_out *data = &out->data;
	size_t room = in->max_bytes < data->capacity ? in->max_bytes : data->capacity;
	size_t got;
	if (call->object != &object_stdin)
		return STATUS(NO_RIGHTS);
	if (!room)
		return STATUS(INVALID_ARGUMENT);
	if (data->kernel) {
		status_t status = channel_read(data->kernel, room, &got);
		if (status != STATUS_OK)
			return status;
		data->length = got;
		call->settle = channel_read_done;
		call->settle_bytes = data->kernel;
		call->settle_size = got;
		return STATUS_OK;
	}
	void *scratch = call_scratch(call->thread);
	if (!scratch)
		return STATUS(NO_MEMORY);
	status_t status =
		channel_read(scratch, room < CALL_SCRATCH_BYTES ? room : CALL_SCRATCH_BYTES, &got);
	if (status != STATUS_OK)
		return status;
	status = buffer_write(data, scratch, got);
	channel_read_done(scratch, got, status == STATUS_OK);
	return status;
}
