/* The few errors that C's own functions report; calls of capabilities return theirs. */
#ifndef _ERRNO_H
#define _ERRNO_H

#define ENOMEM 12
#define EINVAL 22
#define EDOM 33
#define ERANGE 34

#ifdef __cplusplus
extern "C" {
#endif

int *capos_errno_location(void);
#define errno (*capos_errno_location())

#ifdef __cplusplus
}
#endif

#endif
