/* A program can ask whether a header is there, and gets the truth. */
#if __has_include(<math.h>) || !__has_include(<stdio.h>)
#error "a stub header, or none"
#endif
