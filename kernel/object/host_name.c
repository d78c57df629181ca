/* Names of files for the host. They are relative and stay below the directory that the host chose:
 * no component is empty, "." or "..". */
#include "object/host_share.h"

bool host_name_allowed(const char *name, size_t length)
{
	size_t component = 0;
	if (!length || length > HOST_NAME_BYTES_MAX)
		return false;
	for (size_t i = 0; i <= length; i++) {
		if (i < length && name[i] == '\0')
			return false;
		if (i < length && name[i] != '/')
			continue;
		const char *start = name + component;
		size_t size = i - component;
		if (size == 0 || (size == 1 && start[0] == '.') ||
			(size == 2 && start[0] == '.' && start[1] == '.'))
			return false;
		component = i + 1;
	}
	return true;
}
