/* Allocation, numbers, sorting, environment, ending. */
#ifndef _STDLIB_H
#define _STDLIB_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#define _NORETURN __attribute__((noreturn))
#else
#define _NORETURN _Noreturn
#endif

#define EXIT_SUCCESS 0
#define EXIT_FAILURE 1
#define RAND_MAX 0x7fffffff

/* Memory comes from the "vm" capability, in committed pages: NULL means that there is none, and
 * memory once given can always be used. Every block is aligned to 16. A wrong or repeated free ends
 * the program with a message. */
void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *block, size_t size);
void *aligned_alloc(size_t alignment, size_t size);
int posix_memalign(void **block, size_t alignment, size_t size);
void free(void *block);

/* exit runs the atexit functions and writes out what stdio holds; _Exit does not. Both end all
 * threads. */
_NORETURN void exit(int status);
_NORETURN void _Exit(int status);
_NORETURN void abort(void);
int atexit(void (*function)(void));

char *getenv(const char *name);
extern char **environ;

long strtol(const char *__restrict string, char **__restrict end, int base);
unsigned long strtoul(const char *__restrict string, char **__restrict end, int base);
long long strtoll(const char *__restrict string, char **__restrict end, int base);
unsigned long long strtoull(const char *__restrict string, char **__restrict end, int base);
int atoi(const char *string);
long atol(const char *string);
long long atoll(const char *string);

int abs(int value);
long labs(long value);
long long llabs(long long value);

void qsort(void *items, size_t count, size_t size, int (*compare)(const void *, const void *));
void *bsearch(const void *key, const void *items, size_t count, size_t size,
	int (*compare)(const void *, const void *));

/* A small repeatable generator; for secrets use capos/random.h. */
int rand(void);
void srand(unsigned int seed);

#undef _NORETURN

#ifdef __cplusplus
}
#endif

#endif
