/* The calls of raw.c on Linux. System calls that glibc would only wrap are made directly, so that
 * the kernel's share is measured. Threads are pthreads, which programs use. */
#ifndef BENCH_SYSTEM_LINUX_H
#define BENCH_SYSTEM_LINUX_H

#include <asm/prctl.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef struct {
	pthread_t id;
	void (*entry)(void);
} system_thread_t;

static inline void system_fail(const char *what)
{
	printf("fail %s\n", what);
	exit(1);
}

static int system_events[2];
static const char *system_program;

static inline void system_start(const char *program)
{
	system_program = program;
	for (int i = 0; i < 2; i++) {
		system_events[i] = eventfd(0, 0);
		if (system_events[i] < 0)
			system_fail("no eventfd");
	}
}

static inline int64_t system_call(
	uint64_t number, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3)
{
	register uint64_t r10 __asm__("r10") = a3;

	__asm__ volatile("syscall"
		: "+a"(number)
		: "D"(a0), "S"(a1), "d"(a2), "r"(r10)
		: "rcx", "r11", "memory");
	return (int64_t)number;
}

static inline void system_null(void)
{
	system_call(SYS_getppid, 0, 0, 0, 0);
}

static inline uint64_t system_fs_base(void)
{
	uint64_t base = 0;

	system_call(SYS_arch_prctl, ARCH_GET_FS, (uintptr_t)&base, 0, 0);
	return base;
}

static inline uint64_t system_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline void system_park(volatile uint32_t *word, uint32_t expected)
{
	system_call(SYS_futex, (uintptr_t)word, FUTEX_WAIT_PRIVATE, expected, 0);
}

static inline uint64_t system_unpark(volatile uint32_t *word)
{
	return (uint64_t)system_call(SYS_futex, (uintptr_t)word, FUTEX_WAKE_PRIVATE, 1, 0);
}

static inline void system_event_signal(int event)
{
	uint64_t one = 1;

	system_call(SYS_write, (uint64_t)system_events[event], (uintptr_t)&one, sizeof(one), 0);
}

static inline void system_event_wait(int event)
{
	uint64_t count = 0;

	system_call(SYS_read, (uint64_t)system_events[event], (uintptr_t)&count, sizeof(count), 0);
	if (count != 1)
		system_fail("a wait ended without its event");
}

static inline void *system_thread_run(void *argument)
{
	system_thread_t *thread = argument;

	thread->entry();
	return NULL;
}

static inline void system_thread_start(system_thread_t *thread, void (*entry)(void))
{
	thread->entry = entry;
	if (pthread_create(&thread->id, NULL, system_thread_run, thread) != 0)
		system_fail("no thread");
}

static inline void system_thread_join(system_thread_t *thread)
{
	if (pthread_join(thread->id, NULL) != 0)
		system_fail("no join");
}

static inline void *system_map(size_t size_bytes)
{
	void *block =
		mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (block == MAP_FAILED)
		system_fail("no memory");
	return block;
}

static inline void system_unmap(void *block, size_t size_bytes)
{
	if (munmap(block, size_bytes) != 0)
		system_fail("cannot unmap");
}

/* ---- other processes ---- */

typedef struct {
	pid_t id;
} system_process_t;

static inline void system_process_start(system_process_t *process, const char *role)
{
	char *arguments[] = { (char *)system_program, (char *)"-role", (char *)role, NULL };
	char *environment[] = { NULL };

	fflush(stdout);
	if (posix_spawn(&process->id, system_program, NULL, NULL, arguments, environment) != 0)
		system_fail("no process");
}

static inline int system_process_end(system_process_t *process)
{
	int status = 0;

	if (waitpid(process->id, &status, 0) != process->id)
		system_fail("a process did not end");
	return status;
}

static inline void system_process_wait(system_process_t *process)
{
	if (system_process_end(process) != 0)
		system_fail("a process ended otherwise");
}

static inline void system_process_kill(system_process_t *process)
{
	kill(process->id, SIGKILL);
	system_process_end(process);
}

/* What another process has two of, it has as these descriptors. */
#define SYSTEM_SERVER_IN 20
#define SYSTEM_SERVER_OUT 21

/* The process has both events. It takes them by system_take_events. */
static inline void system_process_start_with_events(system_process_t *process, const char *role)
{
	if (dup2(system_events[0], SYSTEM_SERVER_IN) < 0 ||
		dup2(system_events[1], SYSTEM_SERVER_OUT) < 0)
		system_fail("no descriptors");
	system_process_start(process, role);
	close(SYSTEM_SERVER_IN);
	close(SYSTEM_SERVER_OUT);
}

static inline int system_take_events(void)
{
	system_events[0] = SYSTEM_SERVER_IN;
	system_events[1] = SYSTEM_SERVER_OUT;
	return 1;
}

/* ---- a server by two pipes ---- */

static int system_server_pipes[2];
static system_process_t system_server;

static inline void system_server_start(void)
{
	int calls[2], answers[2];

	if (pipe(calls) != 0 || pipe(answers) != 0 || dup2(calls[0], SYSTEM_SERVER_IN) < 0 ||
		dup2(answers[1], SYSTEM_SERVER_OUT) < 0)
		system_fail("no pipes");
	close(calls[0]);
	close(answers[1]);
	system_server_pipes[0] = calls[1];
	system_server_pipes[1] = answers[0];
	fcntl(calls[1], F_SETFD, FD_CLOEXEC);
	fcntl(answers[0], F_SETFD, FD_CLOEXEC);
	system_process_start(&system_server, "serve");
	close(SYSTEM_SERVER_IN);
	close(SYSTEM_SERVER_OUT);
}

static inline uint64_t system_server_call(uint64_t number)
{
	uint64_t words[8] = { number };

	if (write(system_server_pipes[0], words, sizeof(words)) != sizeof(words) ||
		read(system_server_pipes[1], words, sizeof(words)) != sizeof(words))
		system_fail("a call failed");
	return words[0];
}

/* Several calls outstanding: their answers come in order. */
static inline void system_call_begin(unsigned slot, uint64_t number)
{
	uint64_t words[8] = { number };

	(void)slot;
	if (write(system_server_pipes[0], words, sizeof(words)) != sizeof(words))
		system_fail("a call did not begin");
}

static inline uint64_t system_call_end(unsigned slot)
{
	uint64_t words[8];

	(void)slot;
	if (read(system_server_pipes[1], words, sizeof(words)) != sizeof(words))
		system_fail("a call failed");
	return words[0];
}

static inline void system_server_end(void)
{
	close(system_server_pipes[0]);
	close(system_server_pipes[1]);
	system_process_wait(&system_server);
}

static inline void system_serve(void)
{
	uint64_t words[8];

	while (read(SYSTEM_SERVER_IN, words, sizeof(words)) == sizeof(words)) {
		words[0]++;
		if (write(SYSTEM_SERVER_OUT, words, sizeof(words)) != sizeof(words))
			system_fail("an answer was not taken");
	}
}

/* The server is one by pipes already. */
#define system_pipe_server_start system_server_start
#define system_pipe_server_call system_server_call
#define system_pipe_server_end system_server_end
#define system_pipe_serve system_serve

/* ---- a server that is given descriptors, by a socket ---- */

static inline void system_taker_start(void)
{
	int sockets[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) != 0 ||
		dup2(sockets[1], SYSTEM_SERVER_IN) < 0)
		system_fail("no sockets");
	close(sockets[1]);
	fcntl(sockets[0], F_SETFD, FD_CLOEXEC);
	system_server_pipes[0] = sockets[0];
	system_process_start(&system_server, "take");
	close(SYSTEM_SERVER_IN);
}

union system_control {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr header;
};

static inline struct msghdr system_message(
	struct iovec *vector, uint64_t *words, union system_control *control)
{
	*vector = (struct iovec){ .iov_base = words, .iov_len = 64 };
	return (struct msghdr){ .msg_iov = vector,
		.msg_iovlen = 1,
		.msg_control = control->bytes,
		.msg_controllen = sizeof(control->bytes) };
}

static inline uint64_t system_taker_call(uint64_t number)
{
	uint64_t words[8] = { number };
	union system_control control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)),
						 .cmsg_level = SOL_SOCKET,
						 .cmsg_type = SCM_RIGHTS } };
	struct iovec vector;
	struct msghdr message = system_message(&vector, words, &control);

	memcpy(CMSG_DATA(&control.header), &system_server_pipes[0], sizeof(int));
	if (sendmsg(system_server_pipes[0], &message, 0) != sizeof(words) ||
		read(system_server_pipes[0], words, sizeof(words)) != sizeof(words))
		system_fail("a call failed");
	return words[0];
}

static inline void system_taker_end(void)
{
	close(system_server_pipes[0]);
	system_process_wait(&system_server);
}

static inline void system_take(void)
{
	uint64_t words[8];
	union system_control control;
	struct iovec vector;

	for (;;) {
		struct msghdr message = system_message(&vector, words, &control);
		int descriptor;

		if (recvmsg(SYSTEM_SERVER_IN, &message, 0) != sizeof(words))
			return;
		memcpy(&descriptor, CMSG_DATA(&control.header), sizeof(int));
		close(descriptor);
		words[0]++;
		if (write(SYSTEM_SERVER_IN, words, sizeof(words)) != sizeof(words))
			system_fail("an answer was not taken");
	}
}

static inline void system_sleep_until(uint64_t deadline_ns)
{
	struct timespec deadline = { .tv_sec = (time_t)(deadline_ns / 1000000000u),
		.tv_nsec = (long)(deadline_ns % 1000000000u) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL);
}

#endif
