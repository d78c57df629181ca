/* Random bytes: a ChaCha20 generator with fast key erasure.
 *
 * The state is one key. Each request spends it: the first half of a block becomes the next key, the
 * second half keys the stream for this request alone. Whoever sees the state later can therefore
 * not tell what was handed out before, and the lock is held for one block.
 *
 * Seeds are mixed in by XOR into the key, followed by a block: bytes an attacker knows or chooses
 * cannot undo others. RDSEED, RDRAND and the entropy device make the generator seeded. The
 * time-stamp counter is mixed in too, but proves nothing and does not count. */
#include "object/entropy.h"

#include "arch/x86_64/cpu.h"
#include "call/call.h"
#include "core/chacha.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/string.h"
#include "dev/virtio_rng.h"
#include "kernel/methods.h"
#include "sched/clock.h"
#include "sched/thread.h"

#define FILL_BYTES_MAX 65536u
#define RESEED_REQUESTS 4096u
#define HARDWARE_SEED_WORDS 4u /* 256 bits */
#define HARDWARE_TRIES 64u
#define BOOT_WAIT_NS 50000000u

enum entropy_source {
	SOURCE_RDSEED = 1,
	SOURCE_RDRAND = 2,
	SOURCE_VIRTIO = 4,
};

static struct spinlock generator_lock = SPINLOCK_INIT(OBJECT);
static uint8_t generator_key[CHACHA_KEY_BYTES]; /* guarded by generator_lock */
static uint32_t sources;                        /* enum entropy_source; guarded by generator_lock */
static uint32_t requests_since_seed;            /* guarded by generator_lock */
static const uint8_t nonce[12];

/* Replaces the key; spent, if not NULL, receives the other half of the block. */
static void generator_step_locked(uint8_t spent[CHACHA_KEY_BYTES])
{
	uint8_t block[CHACHA_BLOCK_BYTES];
	chacha20_block(generator_key, 0, nonce, block);
	memcpy(generator_key, block, CHACHA_KEY_BYTES);
	if (spent)
		memcpy(spent, block + CHACHA_KEY_BYTES, CHACHA_KEY_BYTES);
	memset(block, 0, sizeof block);
	__asm__ volatile("" : : "r"(block) : "memory"); /* the wipe stays */
}

static void seed_mix(const void *bytes, size_t size, uint32_t source)
{
	const uint8_t *byte = bytes;
	spin_lock(&generator_lock);
	while (size) {
		size_t part = size < CHACHA_KEY_BYTES ? size : CHACHA_KEY_BYTES;
		for (size_t i = 0; i < part; i++)
			generator_key[i] ^= byte[i];
		generator_step_locked(NULL);
		byte += part;
		size -= part;
	}
	sources |= source;
	if (source)
		requests_since_seed = 0;
	spin_unlock(&generator_lock);
}

static bool rdseed(uint64_t *word)
{
	for (unsigned i = 0; i < HARDWARE_TRIES; i++) {
		uint8_t ok;
		__asm__ volatile("rdseed %0; setc %1" : "=r"(*word), "=q"(ok) : : "cc");
		if (ok)
			return true;
		cpu_relax();
	}
	return false;
}

static bool rdrand(uint64_t *word)
{
	for (unsigned i = 0; i < HARDWARE_TRIES; i++) {
		uint8_t ok;
		__asm__ volatile("rdrand %0; setc %1" : "=r"(*word), "=q"(ok) : : "cc");
		if (ok)
			return true;
	}
	return false;
}

/* A source that fails, or repeats itself word for word, is broken and does not count. */
static void seed_from_processor(bool present, bool (*draw)(uint64_t *), uint32_t source)
{
	uint64_t words[HARDWARE_SEED_WORDS];
	if (!present)
		return;
	for (unsigned i = 0; i < HARDWARE_SEED_WORDS; i++)
		if (!draw(&words[i]) || (i && words[i] == words[i - 1]))
			return;
	seed_mix(words, sizeof words, source);
	memset(words, 0, sizeof words);
	__asm__ volatile("" : : "r"(words) : "memory");
}

static void seed_from_counter(void)
{
	uint64_t ticks = rdtsc();
	seed_mix(&ticks, sizeof ticks, 0);
}

static void reseed(void)
{
	seed_from_counter();
	seed_from_processor(cpu_features.rdseed, rdseed, SOURCE_RDSEED);
	seed_from_processor(cpu_features.rdrand, rdrand, SOURCE_RDRAND);
	virtio_rng_request();
}

/* A device may give fewer bytes than it was asked for: it counts as a source when it has given a
 * key's worth. */
static void seed_from_device(const void *bytes, size_t size)
{
	static uint64_t received; /* atomic */
	bool enough = __atomic_add_fetch(&received, size, __ATOMIC_RELAXED) >= CHACHA_KEY_BYTES;
	seed_mix(bytes, size, enough ? SOURCE_VIRTIO : 0);
}

void entropy_init(struct virtio_device *rng)
{
	bool device = rng && virtio_rng_init(rng, seed_from_device);
	reseed();
	/* Programs want their first random bytes at once; with no processor source it is worth
	 * waiting for the device a little. */
	uint64_t until = clock_now_ns() + BOOT_WAIT_NS;
	while (device && !sources && clock_now_ns() < until) {
		virtio_rng_request();
		virtio_rng_poll();
		cpu_relax();
	}
	if (!sources)
		log_printf("capos: no entropy source yet");
}

/* A key for one request's stream; false while not seeded. */
static bool request_key(uint8_t key[CHACHA_KEY_BYTES])
{
	spin_lock(&generator_lock);
	bool seeded = sources != 0;
	bool due = requests_since_seed >= RESEED_REQUESTS;
	if (due)
		requests_since_seed = 0; /* one caller reseeds, others go on */
	else
		requests_since_seed++;
	spin_unlock(&generator_lock);
	if (due || !seeded)
		reseed();

	spin_lock(&generator_lock);
	seeded = sources != 0;
	if (seeded)
		generator_step_locked(key);
	spin_unlock(&generator_lock);
	return seeded;
}

bool entropy_fill(void *buffer, size_t size)
{
	uint8_t key[CHACHA_KEY_BYTES], block[CHACHA_BLOCK_BYTES];
	if (!request_key(key))
		return false;
	uint8_t *to = buffer;
	for (uint32_t counter = 0; size; counter++) {
		size_t part = size < sizeof block ? size : sizeof block;
		chacha20_block(key, counter, nonce, block);
		memcpy(to, block, part);
		to += part;
		size -= part;
	}
	memset(key, 0, sizeof key);
	memset(block, 0, sizeof block);
	__asm__ volatile("" : : "r"(key), "r"(block) : "memory");
	return true;
}

status_t method_entropy_source_fill(struct call *call, const struct entropy_source_fill_params *in,
	struct entropy_source_fill_results *out)
{
	uint8_t key[CHACHA_KEY_BYTES], block[CHACHA_BLOCK_BYTES];
	status_t status = STATUS_OK;
	if (in->length > FILL_BYTES_MAX || in->length > out->data.capacity) {
		call->detail =
			out->data.capacity < FILL_BYTES_MAX ? out->data.capacity : FILL_BYTES_MAX;
		return STATUS(INVALID_ARGUMENT);
	}
	if (!request_key(key))
		return STATUS(NOT_SEEDED);
	for (uint32_t counter = 0; out->data.length < in->length && status == STATUS_OK;
		counter++) {
		size_t left = in->length - out->data.length;
		chacha20_block(key, counter, nonce, block);
		status = span_write(&out->data, block, left < sizeof block ? left : sizeof block);
	}
	memset(key, 0, sizeof key);
	memset(block, 0, sizeof block);
	__asm__ volatile("" : : "r"(key), "r"(block) : "memory");
	return status;
}

status_t method_entropy_source_status(struct call *call,
	const struct entropy_source_status_params *in, struct entropy_source_status_results *out)
{
	(void)call;
	(void)in;
	spin_lock(&generator_lock);
	out->sources = sources;
	spin_unlock(&generator_lock);
	return STATUS_OK;
}
