/* The kernel log on the first serial port and the screen, panics, assertions. Formats understood by
 * log_printf: %s %c %d %u %x %lx %lu %ld %zu %p %% with zero padding and width, and %.*s. */
#ifndef CAPOS_CORE_LOG_H
#define CAPOS_CORE_LOG_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* One line of the log; a newline is not added. Any context. */
void log_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Boot, once: sets the function that takes the lines; lines before that are lost. One CPU at a time
 * calls it, after a panic began the one that reports it. */
void log_set_output(void (*output)(const char *text, size_t size));

/* Pure. Formats into buffer, always terminated; returns the length it would have had. */
int text_format(char *buffer, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int text_vformat(char *buffer, size_t size, const char *format, va_list arguments);

/* Any context. Stops the machine after printing reason, registers, thread, CPU and a symbolised
 * trace. Provided by debug/panic.c. */
_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The value that the compiler puts between a function's buffers and its return address; chosen at
 * boot. */
extern uintptr_t __stack_chk_guard;

/* For mistakes of the kernel: stops the machine. In release kernels ASSERT costs nothing and checks
 * nothing; VERIFY always checks. */
#define VERIFY(condition)                                                            \
	do {                                                                         \
		if (__builtin_expect(!(condition), 0))                               \
			panic("%s:%d: expected %s", __FILE__, __LINE__, #condition); \
	} while (0)
#ifdef CAPOS_DEBUG
#define ASSERT(condition) VERIFY(condition)
#else
#define ASSERT(condition) ((void)sizeof(!(condition)))
#endif

#endif
