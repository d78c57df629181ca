/* See arch/identity.h. The number is from the x86-64 psABI, chapter 4. */
#ifndef CAPOS_ARCH_IMPL_IDENTITY_H
#define CAPOS_ARCH_IMPL_IDENTITY_H

#define ARCHITECTURE_NAME "x86_64"
#define ELF_MACHINE 62

#endif
