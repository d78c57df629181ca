/* Deliberate mistakes: see selftest.h. Each must end in a panic with the right reason (test step
 * panic/checks); one that is not noticed ends in a panic that says so. They use volatile variables,
 * because the compiler sees the mistake otherwise and removes the code. */
#include "init/selftest.h"

#ifdef CAPOS_DEBUG

#include "arch/probe.h"
#include "arch/tlb.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/string.h"
#include "dev/command_line.h"
#include "mm/aspace.h"
#include "mm/frame.h"
#include "mm/kmem.h"
#include "mm/ledger.h"
#include "mm/user.h"

#define OBJECT_BYTES 40u
#define USER_PAGE 0x10000ul

static volatile uint8_t taken; /* what a wrong load finds */
static volatile int number;
static volatile unsigned count;
static int table[5];

static uint8_t *object_alloc(size_t size)
{
	uint8_t *volatile object = kmem_alloc(KERNEL_PAYS, size);
	VERIFY(object);
	return object;
}

static uint8_t *frame_get(void)
{
	paddr_t frame = frame_alloc(KERNEL_PAYS, 0, 0);
	VERIFY(frame);
	return phys_to_virt(frame);
}

static void object_use_after_free(void)
{
	uint8_t *object = object_alloc(OBJECT_BYTES);
	kmem_free(KERNEL_PAYS, object);
	taken = *(volatile uint8_t *)(object + 20);
}

static void object_write_after_free(void)
{
	uint8_t *object = object_alloc(OBJECT_BYTES);
	kmem_free(KERNEL_PAYS, object);
	*(volatile uint64_t *)(object + 16) = 1;
}

static void object_read_behind(void)
{
	uint8_t *object = object_alloc(OBJECT_BYTES);
	taken = *(volatile uint8_t *)(object + OBJECT_BYTES);
}

/* Inside the last eight bytes, of which only the first three are the object's. */
static void object_write_behind(void)
{
	uint8_t *object = object_alloc(OBJECT_BYTES + 3);
	*(volatile uint8_t *)(object + OBJECT_BYTES + 3) = 1;
}

/* The load begins inside and ends outside. */
static void object_read_across(void)
{
	uint8_t *object = object_alloc(OBJECT_BYTES + 3);
	number = *(volatile int *)(object + OBJECT_BYTES);
}

static void large_object_write_behind(void)
{
	uint8_t *object = object_alloc(3 * PAGE_SIZE - 100);
	*(volatile uint8_t *)(object + 3 * PAGE_SIZE - 100) = 1;
}

static void object_double_free(void)
{
	uint8_t *first = object_alloc(OBJECT_BYTES), *second = object_alloc(OBJECT_BYTES);
	kmem_free(KERNEL_PAYS, second);
	kmem_free(KERNEL_PAYS, second);
	kmem_free(KERNEL_PAYS, first);
}

static void copy_behind(void)
{
	uint8_t *object = object_alloc(OBJECT_BYTES);
	volatile size_t size = OBJECT_BYTES + 1;
	memset(object, 0, size);
}

/* The program's address is never accessed, because the kernel's side is checked first. */
static void user_copy_behind(void)
{
	uint8_t *object = object_alloc(OBJECT_BYTES);
	status_t status = copy_from_user(object, user_ptr(USER_PAGE), OBJECT_BYTES + 1);
	number = status == STATUS_OK;
}

static void frame_use_after_free(void)
{
	uint8_t *frame = frame_get();
	frame_free(KERNEL_PAYS, virt_to_phys(frame), 0);
	taken = *(volatile uint8_t *)(frame + 100);
}

static void frame_double_free(void)
{
	uint8_t *frame = frame_get();
	frame_free(KERNEL_PAYS, virt_to_phys(frame), 0);
	frame_free(KERNEL_PAYS, virt_to_phys(frame), 0);
}

static void global_behind(void)
{
	const volatile uint8_t *volatile bytes = (const volatile uint8_t *)table;
	taken = bytes[sizeof table];
}

static void user_access(void)
{
	const volatile uint8_t *volatile address = (const volatile uint8_t *)0x10000;
	taken = *address;
}

static void index_behind(void)
{
	count = 5;
	number = table[count];
}

static void addition_overflow(void)
{
	number = INT32_MAX;
	number = number + 1;
}

static void shift_too_far(void)
{
	count = 32;
	number = 1 << count;
}

static void division_by_zero(void)
{
	number = 0;
	number = 1 / number;
}

static void misaligned(void)
{
	volatile uintptr_t address = (uintptr_t)table + 1;
	number = *(volatile int *)address;
}

static void bad_bool(void)
{
	volatile uint8_t byte = 7;
	number = *(volatile bool *)&byte;
}

static void stack_overrun(void)
{
	uint8_t bytes[16];
	uint8_t *volatile place = bytes;
	for (count = 0; count < 64; count++)
		place[count] = 0;
	taken = bytes[3];
}

static void lock_order(void)
{
	static struct spinlock outer = SPINLOCK_INIT(PROCESS), inner = SPINLOCK_INIT(FRAMES);
	spin_lock(&inner);
	spin_lock(&outer);
}

static void lock_not_held(void)
{
	static struct spinlock lock = SPINLOCK_INIT(WAIT);
	assert_held(&lock);
}

static void wake_without_lock(void)
{
	static struct spinlock lock = SPINLOCK_INIT(WAIT);
	struct wait_queue queue;
	wait_queue_init(&queue);
	spin_lock(&lock);
	VERIFY(wait_queue_wait(&queue, &lock, 0, false) == STATUS(TIMED_OUT));
	spin_unlock(&lock);
	wait_queue_wake(&queue, 1);
}

static void wait_with_locks(void)
{
	static struct spinlock outer = SPINLOCK_INIT(PROCESS), inner = SPINLOCK_INIT(WAIT);
	struct wait_queue queue;
	wait_queue_init(&queue);
	spin_lock(&outer);
	spin_lock(&inner);
	VERIFY(wait_queue_wait(&queue, &inner, 0, false) == STATUS(TIMED_OUT));
}

static void user_copy_with_lock(void)
{
	static struct spinlock lock = SPINLOCK_INIT(THREAD);
	uint8_t byte;
	spin_lock(&lock);
	VERIFY(copy_from_user(&byte, user_ptr(USER_PAGE), sizeof byte) != STATUS_OK);
}

static void assertion(void)
{
	number = 3;
	ASSERT(number == 4);
}

/* ---- mistakes that the processor must stop; in assembly, so that no check of the compiler comes
 * first ---- */

static const uint8_t return_code[] = PROBE_RETURN;

/* A page of a program's that could be read and executed, in the address space in use. */
static void map_user_code(void)
{
	struct aspace *space =
		aspace_create(ledger_create(&(struct ledger_limits){ .pages = 16 * PAGE_SIZE }));
	uint64_t address = 0;
	VERIFY(space &&
		aspace_map(space, USER_PAGE, PAGE_SIZE, CAPOS_PROT_READ | CAPOS_PROT_WRITE,
			&address) == STATUS_OK);
	VERIFY(address == USER_PAGE &&
		aspace_write(space, user_ptr(address), return_code, sizeof return_code) ==
			STATUS_OK);
	VERIFY(aspace_protect(space, address, PAGE_SIZE, CAPOS_PROT_READ | CAPOS_PROT_EXEC) ==
		STATUS_OK);
	aspace_activate(space);
}

static void user_page_read(void)
{
	map_user_code();
	taken = probe_read(USER_PAGE);
}

static void user_page_call(void)
{
	map_user_code();
	probe_call(USER_PAGE);
}

static void data_call(void)
{
	static uint8_t code[16];
	memcpy(code, return_code, sizeof return_code);
	probe_call((uint64_t)code);
}

static void constant_call(void)
{
	probe_call((uint64_t)return_code);
}

static void stack_call(void)
{
	uint8_t code[16];
	memcpy(code, return_code, sizeof return_code);
	probe_call((uint64_t)code);
}

static void object_call(void)
{
	uint8_t *object = object_alloc(OBJECT_BYTES);
	memcpy(object, return_code, sizeof return_code);
	probe_call((uint64_t)object);
}

static void image_alias_call(void)
{
	/* The kernel's own code, by its other name. */
	probe_call((uint64_t)phys_to_virt(image_to_phys((const void *)assertion)));
}

static void code_write(void)
{
	probe_write((uint64_t)assertion, 0);
}

static void constant_write(void)
{
	probe_write((uint64_t)return_code, 0);
}

static void nil_read(void)
{
	taken = probe_read(0);
}

static const struct {
	const char *name;
	void (*run)(void);
} selftests[] = {
	{ "object-use-after-free", object_use_after_free },
	{ "object-write-after-free", object_write_after_free },
	{ "object-read-behind", object_read_behind },
	{ "object-write-behind", object_write_behind },
	{ "object-read-across", object_read_across },
	{ "large-object-write-behind", large_object_write_behind },
	{ "object-double-free", object_double_free },
	{ "copy-behind", copy_behind },
	{ "user-copy-behind", user_copy_behind },
	{ "frame-use-after-free", frame_use_after_free },
	{ "frame-double-free", frame_double_free },
	{ "global-behind", global_behind },
	{ "user-access", user_access },
	{ "index-behind", index_behind },
	{ "addition-overflow", addition_overflow },
	{ "shift-too-far", shift_too_far },
	{ "division-by-zero", division_by_zero },
	{ "misaligned", misaligned },
	{ "bad-bool", bad_bool },
	{ "stack-overrun", stack_overrun },
	{ "lock-order", lock_order },
	{ "lock-not-held", lock_not_held },
	{ "wake-without-lock", wake_without_lock },
	{ "wait-with-locks", wait_with_locks },
	{ "user-copy-with-lock", user_copy_with_lock },
	{ "assertion", assertion },
	{ "user-page-read", user_page_read },
	{ "user-page-call", user_page_call },
	{ "data-call", data_call },
	{ "constant-call", constant_call },
	{ "stack-call", stack_call },
	{ "object-call", object_call },
	{ "image-alias-call", image_alias_call },
	{ "code-write", code_write },
	{ "constant-write", constant_write },
	{ "nil-read", nil_read },
};

void selftest_run(const char *command_line)
{
	if (!command_line_has(command_line, "selftest", NULL))
		return;
	for (size_t i = 0; i < sizeof selftests / sizeof selftests[0]; i++) {
		if (!command_line_has(command_line, "selftest", selftests[i].name))
			continue;
		selftests[i].run();
		panic("self test %s went unnoticed", selftests[i].name);
	}
	panic("there is no such self test");
}

#endif
