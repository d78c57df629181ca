/* The Linux guest's first process. The guest has nothing else besides its kernel and the benchmark
 * programs.
 *
 * It mounts the file systems that a Go program reads, runs the program that the kernel command line
 * names after "--", prints a line that says how it ended, and ends the machine. It waits while the
 * program runs, so it does not change the measurement.
 *
 * Its settings come in the environment, which the kernel fills with the parameters that it does not
 * know: BENCH_HUGE_PAGES is written to transparent_hugepage/enabled.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define HUGE_PAGES "/sys/kernel/mm/transparent_hugepage/enabled"

static void fail(const char *what)
{
	printf("fail guest: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	reboot(RB_AUTOBOOT);
	exit(1);
}

/* The kernel opens /dev/console for init only when the initial file system has that node; this one
 * has none. */
static void open_console(void)
{
	int fd;

	mkdir("/dev", 0755);
	if (mount("devtmpfs", "/dev", "devtmpfs", 0, NULL) != 0)
		reboot(RB_AUTOBOOT);
	fd = open("/dev/console", O_RDWR);
	if (fd < 0)
		reboot(RB_AUTOBOOT);
	for (int copy = 0; copy < 3; copy++)
		dup2(fd, copy);
	if (fd > 2)
		close(fd);
}

static void mount_at(const char *type, const char *directory)
{
	mkdir(directory, 0755);
	if (mount(type, directory, type, 0, NULL) != 0)
		fail(directory);
}

static void set_huge_pages(void)
{
	const char *choice = getenv("BENCH_HUGE_PAGES");
	int fd;

	if (!choice)
		return;
	fd = open(HUGE_PAGES, O_WRONLY);
	if (fd < 0 || write(fd, choice, strlen(choice)) != (ssize_t)strlen(choice))
		fail(HUGE_PAGES);
	close(fd);
}

/* Reports a one-line file of the kernel, so that a result says on what it was measured. */
static void report(const char *name, const char *path)
{
	char text[256];
	ssize_t size;
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		return;
	size = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (size <= 0)
		return;
	text[size] = 0;
	text[strcspn(text, "\n")] = 0;
	printf("note %s %s\n", name, text);
}

static int run_program(char **argv)
{
	int status = 0;
	pid_t child = fork();

	if (child < 0)
		fail("fork");
	if (child == 0) {
		execv(argv[0], argv);
		fail(argv[0]);
	}
	if (waitpid(child, &status, 0) != child)
		fail("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	int status;

	open_console();
	mount_at("proc", "/proc");
	mount_at("sysfs", "/sys");
	mount_at("tmpfs", "/tmp");
	set_huge_pages();
	if (argc < 2)
		fail("no program on the command line");
	status = run_program(argv + 1);
	report("kernel", "/proc/version");
	report("clocksource", "/sys/devices/system/clocksource/clocksource0/current_clocksource");
	report("transparent_hugepage", HUGE_PAGES);
	printf("guest ended %d\n", status);
	fflush(stdout);
	reboot(RB_AUTOBOOT);
	return 0;
}
