/* init: the first process of a system. It reads the manifest that its argument names, starts the
 * services in the order of their dependencies with exactly what is granted to them, starts again
 * what ends when it should not, and ends the system when its foreground program ends, with that
 * one's status. A second argument, "log", has it print its log then. docs/manifest.md is the
 * manual. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "manifest.h"
#include "service.h"

int main(int argc, char **argv)
{
	static struct manifest manifest;
	const char *path = argc > 1 ? argv[1] : "";
	bool prints = argc > 2 && strcmp(argv[2], "log") == 0;
	const char *mistake = manifest_open(&manifest, path);

	if (mistake != NULL) {
		log_line("the manifest %s: %s", path, mistake);
		return EXIT_FAILURE;
	}
	services_init(&manifest);
	for (uint32_t i = 0; i < manifest.service_count; i++)
		service_start(i);
	int status = services_wait();
	services_stop();
	if (prints)
		log_print();
	if (services_cause() != NULL)
		log_line("the system ends with status %d, that of %s", status, services_cause());
	else
		log_line("the system ends with status %d", status);
	return status;
}
