/* Lines on the console, labelled. */
#ifndef INIT_LOG_H
#define INIT_LOG_H

/* Writes "init: TEXT" as one line, cut off at 200 bytes. Any thread. */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
