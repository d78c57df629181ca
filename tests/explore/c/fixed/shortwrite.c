/* A log is written to a device, which may take less than it is given. append goes on
 * until it has taken all. */
#include <capos/inject.h>

#include <stdio.h>
#include <string.h>

static char device[64];
static size_t used;

/* Returns how many bytes it has taken, at least one of those that there are. */
static size_t device_write(const char *data, size_t size)
{
	if (size > 1 && capos_inject(1))
		size /= 2;
	memcpy(device + used, data, size);
	used += size;
	return size;
}

static void append(const char *line)
{
	size_t size = strlen(line);
	while (size) {
		size_t taken = device_write(line, size);
		line += taken;
		size -= taken;
	}
}

int main(void)
{
	append("begin\n");
	append("end\n");
	if (used == 10 && !memcmp(device, "begin\nend\n", used))
		return 0;
	puts("the log has lost a part of a line");
	return 1;
}
