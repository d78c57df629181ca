/* Everything libcapos offers beyond the C headers. */
#ifndef CAPOS_CAPOS_H
#define CAPOS_CAPOS_H

#include <capos/abi.h>
#include <capos/boot.h>
#include <capos/call.h>
#include <capos/caps.h>
#include <capos/endpoint.h>
#include <capos/inject.h>
#include <capos/notification.h>
#include <capos/process.h>
#include <capos/random.h>
#include <capos/ring_call.h>
#include <capos/schema.h>
#include <capos/service.h>
#include <capos/stubs.h>
#include <capos/thread.h>
#include <capos/time.h>

#endif
