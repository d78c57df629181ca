/* Runs the commands of a task of tests/programs in the Linux guest, one after the other, and prints
 * what each took. init starts it with the name of a file that says what to run, in strings that end
 * with a zero byte:
 *
 *     eNAME=VALUE   a variable of all commands
 *     iFILE         standard input of the next command; it has none otherwise
 *     aARGUMENT     an argument of the next command; the first one is the program
 *     rSTATUS       runs it; it has to end with this status
 *
 * For each command it prints
 *
 *     took MICROSECONDS BYTES
 *
 * MICROSECONDS is its CPU time, in user mode and in the kernel for it: in an instruction-exact
 * machine thousands of instructions. BYTES is the most memory that it had at once, by a control
 * group of its own: what it wrote to, what files it made, and what the kernel holds for it. Pages
 * of files that were there before are not counted. After the last command it prints "end".
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define GROUPS "/sys/fs/cgroup"
#define OUTPUT "/tmp/.output"
#define ARGUMENTS_MAX 256
#define VARIABLES_MAX 32

static char *variables[VARIABLES_MAX + 1], *arguments[ARGUMENTS_MAX + 1];
static unsigned variable_count, argument_count;
static const char *input = "/dev/null";

static void fail(const char *what)
{
	printf("fail %s: %s\n", what, errno ? strerror(errno) : "not as expected");
	exit(1);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fail(path);
	close(fd);
}

/* Servers and clients of a task are in one process and find each other at the loopback device. */
static void start_loopback(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) != 0)
		fail("lo");
	close(fd);
}

static void start_groups(void)
{
	if (mount("cgroup2", GROUPS, "cgroup2", 0, NULL) != 0)
		fail(GROUPS);
	write_file(GROUPS "/cgroup.subtree_control", "+memory");
}

/* The output of a command that ended otherwise than it should. */
static void show_output(void)
{
	char text[4096];
	ssize_t size;
	int fd = open(OUTPUT, O_RDONLY);

	while (fd >= 0 && (size = read(fd, text, sizeof text)) > 0)
		fwrite(text, 1, (size_t)size, stdout);
	putchar('\n');
}

static void become_command(const char *group)
{
	char members[64];
	int in = open(input, O_RDONLY), out = open(OUTPUT, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	snprintf(members, sizeof members, "%s/cgroup.procs", group);
	write_file(members, "0");
	if (in < 0 || out < 0)
		fail(in < 0 ? input : OUTPUT);
	dup2(in, 0);
	dup2(out, 1);
	dup2(out, 2);
	close(in);
	close(out);
	execve(arguments[0], arguments, variables);
	fail(arguments[0]);
}

static long peak_bytes(const char *group)
{
	char path[64];
	long bytes = 0;
	FILE *file;

	snprintf(path, sizeof path, "%s/memory.peak", group);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%ld", &bytes) != 1)
		fail(path);
	fclose(file);
	return bytes;
}

static long microseconds(struct timeval time)
{
	return time.tv_sec * 1000000 + time.tv_usec;
}

static void run(int expected)
{
	static unsigned count;
	char group[32];
	struct rusage usage;
	int status;
	pid_t child;

	arguments[argument_count] = NULL;
	snprintf(group, sizeof group, GROUPS "/%u", count++);
	if (mkdir(group, 0755) != 0)
		fail(group);
	fflush(stdout);
	child = fork();
	if (child < 0)
		fail("fork");
	if (child == 0)
		become_command(group);
	if (wait4(child, &status, 0, &usage) != child)
		fail("wait4");
	errno = 0;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != expected) {
		show_output();
		printf("it ended with %#x\n", (unsigned)status);
		fail(argument_count > 1 ? arguments[1] : arguments[0]);
	}
	printf("took %ld %ld\n", microseconds(usage.ru_utime) + microseconds(usage.ru_stime),
		peak_bytes(group));
	argument_count = 0;
	input = "/dev/null";
}

static void take(char *line)
{
	switch (line[0]) {
	case 'e':
		if (variable_count == VARIABLES_MAX)
			fail("too many variables");
		variables[variable_count++] = line + 1;
		break;
	case 'i':
		input = line + 1;
		break;
	case 'a':
		if (argument_count == ARGUMENTS_MAX)
			fail("too many arguments");
		arguments[argument_count++] = line + 1;
		break;
	case 'r':
		run(atoi(line + 1));
		break;
	default:
		fail(line);
	}
}

int main(int argc, char **argv)
{
	static char lines[1 << 16];
	ssize_t size;
	int fd = open(argc == 2 ? argv[1] : "", O_RDONLY);

	size = fd < 0 ? -1 : read(fd, lines, sizeof lines - 1);
	if (size < 0)
		fail("the commands");
	close(fd);
	start_loopback();
	start_groups();
	if (chdir("/task") != 0)
		fail("/task");
	for (char *line = lines; line < lines + size; line += strlen(line) + 1)
		take(line);
	puts("end");
	return 0;
}
