/* The boot package the machine was started with, and the BootPackage capability over it. */
#ifndef CAPOS_OBJECT_BOOT_PACKAGE_H
#define CAPOS_OBJECT_BOOT_PACKAGE_H

struct package;

/* Boot, once, before the first program: the package, which stays where it is. */
void boot_package_set(const struct package *package);

#endif
