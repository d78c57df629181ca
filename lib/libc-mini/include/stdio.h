/* Formatted output and the three standard streams, over the capabilities "stdin", "stdout" and
 * "stderr". stdout is written out at each end of line and when its buffer is full, stderr at once.
 * Each call is atomic between threads. */
#ifndef _STDIO_H
#define _STDIO_H

#include <stdarg.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EOF (-1)
#define BUFSIZ 4096

typedef struct capos_stream FILE;

extern FILE *const stdin;
extern FILE *const stdout;
extern FILE *const stderr;

#define _PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))

int printf(const char *__restrict format, ...) _PRINTF(1, 2);
int fprintf(FILE *__restrict stream, const char *__restrict format, ...) _PRINTF(2, 3);
int snprintf(char *__restrict buffer, size_t size, const char *__restrict format, ...)
	_PRINTF(3, 4);
int sprintf(char *__restrict buffer, const char *__restrict format, ...) _PRINTF(2, 3);
int vprintf(const char *__restrict format, va_list arguments) _PRINTF(1, 0);
int vfprintf(FILE *__restrict stream, const char *__restrict format, va_list arguments)
	_PRINTF(2, 0);
int vsnprintf(char *__restrict buffer, size_t size, const char *__restrict format,
	va_list arguments) _PRINTF(3, 0);

#undef _PRINTF

int puts(const char *string);
int putchar(int character);
int fputs(const char *__restrict string, FILE *__restrict stream);
int fputc(int character, FILE *stream);
int putc(int character, FILE *stream);
size_t fwrite(const void *__restrict items, size_t size, size_t count, FILE *__restrict stream);
/* NULL: every stream. */
int fflush(FILE *stream);

int getchar(void);
int fgetc(FILE *stream);
int getc(FILE *stream);
char *fgets(char *__restrict buffer, int size, FILE *__restrict stream);
size_t fread(void *__restrict items, size_t size, size_t count, FILE *__restrict stream);

int feof(FILE *stream);
int ferror(FILE *stream);
void clearerr(FILE *stream);

#ifdef __cplusplus
}
#endif

#endif
