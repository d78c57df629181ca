/* Random bytes: a ChaCha20 generator with fast key erasure.
 *
 * The state is one key. Each request spends it: the first half of a block becomes the next key, the
 * second half keys the stream for this request alone. So the state at a later time does not reveal
 * what was given out before, and the lock is held for one block only.
 *
 * Seeds are mixed in by XOR into the key, followed by a block, so bytes that an attacker knows or
 * chooses cannot cancel others. Random words of the processor make the generator seeded, and so do
 * the bytes of an entropy device. Its driver is a program, which is too late for the first bytes
 * that are needed; so a processor without random words makes the kernel ask the device once, at
 * boot. The time-stamp counter is mixed in too, but does not make the generator seeded. */
#include "dev/entropy.h"

#include "arch/random.h"
#include "core/chacha.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/string.h"
#include "dev/virtio_rng.h"
#include "machine/clock.h"

#define RESEED_REQUESTS 4096u
#define HARDWARE_SEED_WORDS 4u /* 256 bits */
/* For the only source there is, which is not asked again. It mostly answers soon,
 * but a host that is busy takes its time. */
#define BOOT_WAIT_NS 5000000000ull

enum entropy_source {
	SOURCE_RDSEED = 1,
	SOURCE_RDRAND = 2,
	SOURCE_DEVICE = 4,
};

static struct spinlock generator_lock = SPINLOCK_INIT(OBJECT);
static uint8_t generator_key[CHACHA_KEY_BYTES]; /* guarded by generator_lock */
static uint32_t sources;                        /* enum entropy_source; guarded by generator_lock */
static uint32_t requests_since_seed;            /* guarded by generator_lock */
static const uint8_t nonce[12];

/* Replaces the key; spent, if not NULL, receives the other half of the block. */
static void generator_step_locked(uint8_t spent[CHACHA_KEY_BYTES])
{
	assert_held(&generator_lock);
	uint8_t block[CHACHA_BLOCK_BYTES];
	chacha20_block(generator_key, 0, nonce, block);
	memcpy(generator_key, block, CHACHA_KEY_BYTES);
	if (spent)
		memcpy(spent, block + CHACHA_KEY_BYTES, CHACHA_KEY_BYTES);
	memory_wipe(block, sizeof block);
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

/* A source that fails, or gives the same word twice, is broken and does not count. */
static void seed_from_processor(bool (*draw)(uint64_t *), uint32_t source)
{
	uint64_t words[HARDWARE_SEED_WORDS];
	for (unsigned i = 0; i < HARDWARE_SEED_WORDS; i++)
		if (!draw(&words[i]) || (i && words[i] == words[i - 1]))
			return;
	seed_mix(words, sizeof words, source);
	memory_wipe(words, sizeof words);
}

static void seed_from_counter(void)
{
	uint64_t ticks = clock_ticks();
	seed_mix(&ticks, sizeof ticks, 0);
}

static void reseed(void)
{
	seed_from_counter();
	seed_from_processor(cpu_seed_word, SOURCE_RDSEED);
	seed_from_processor(cpu_random_word, SOURCE_RDRAND);
}

void entropy_add(const void *bytes, size_t size)
{
	static uint64_t received; /* atomic */
	bool enough = __atomic_add_fetch(&received, size, __ATOMIC_RELAXED) >= CHACHA_KEY_BYTES;
	seed_mix(bytes, size, enough ? SOURCE_DEVICE : 0);
}

void entropy_init(const struct virtio_device *rng)
{
	reseed();
	if (!sources && rng)
		virtio_rng_ask(rng, clock_now_ns() + BOOT_WAIT_NS, entropy_add);
	if (!sources)
		log_printf("capos: no entropy source yet");
}

bool entropy_begin(struct entropy_stream *stream)
{
	spin_lock(&generator_lock);
	bool seeded = sources != 0;
	bool due = requests_since_seed >= RESEED_REQUESTS;
	if (due)
		requests_since_seed = 0; /* one caller reseeds, other callers go on */
	else
		requests_since_seed++;
	spin_unlock(&generator_lock);
	if (due || !seeded)
		reseed();

	stream->counter = 0;
	spin_lock(&generator_lock);
	seeded = sources != 0;
	if (seeded)
		generator_step_locked(stream->key);
	spin_unlock(&generator_lock);
	return seeded;
}

void entropy_next(struct entropy_stream *stream, uint8_t block[ENTROPY_BLOCK_BYTES])
{
	chacha20_block(stream->key, stream->counter++, nonce, block);
}

void entropy_end(struct entropy_stream *stream)
{
	memory_wipe(stream, sizeof *stream);
}

bool entropy_fill(void *buffer, size_t size)
{
	struct entropy_stream stream;
	uint8_t block[ENTROPY_BLOCK_BYTES];
	if (!entropy_begin(&stream))
		return false;
	for (uint8_t *to = buffer; size;) {
		size_t part = size < sizeof block ? size : sizeof block;
		entropy_next(&stream, block);
		memcpy(to, block, part);
		to += part;
		size -= part;
	}
	entropy_end(&stream);
	memory_wipe(block, sizeof block);
	return true;
}

uint32_t entropy_sources(void)
{
	spin_lock(&generator_lock);
	uint32_t found = sources;
	spin_unlock(&generator_lock);
	return found;
}
