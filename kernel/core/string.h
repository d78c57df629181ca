/* The memory and string functions the compiler and the kernel need. Same contracts as in ISO C.
 * Pure. */
#ifndef CAPOS_CORE_STRING_H
#define CAPOS_CORE_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *text);
size_t strnlen(const char *text, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t max);
char *strchr(const char *text, int c);
/* First place where word begins in text, or NULL. */
char *strstr(const char *text, const char *word);

/* Zeroes secret memory. The compiler cannot remove it as a dead write, because it does not see into
 * the call. */
void memory_wipe(void *memory, size_t size);

/* Copies at most size - 1 bytes and always terminates; size > 0. */
void text_copy(char *to, const char *from, size_t size);

#endif
