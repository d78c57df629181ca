/* The kernel half of every address space: all RAM at the direct map (never executable), the kernel
 * image at its own base, page by page with the protection of its sections, and above the image the
 * mapped device registers. Its top-level entries never change afterwards, so that address spaces
 * can copy them once.
 *
 * The direct map always holds the first 4 GiB, and the GiB of one device that may lie above all
 * RAM: the screen. Firmware has told the processors by MTRR how addresses that are not RAM may be
 * cached. */
#include "arch/kernel_map.h"
#include "arch/x86_64/arch.h"
#include "arch/x86_64/asm.h"
#include "arch/impl/x86.h"
#include "core/log.h"
#include "core/string.h"
#include "arch/address.h"

#define PTE_PRESENT 1ul
#define PTE_WRITE 2ul
#define PTE_UNCACHED 0x18ul /* page attribute table entry 3 */
#define PTE_LARGE 0x80ul
#define PTE_GLOBAL 0x100ul
#define PTE_NX (1ul << 63)
#define DEVICES_END (4ul << 30)
#define DEVICE_BASE 0xffffffffc0000000ul /* the last GiB, behind the image's */
#define IMAGE_TABLES 4 /* 8 MiB from the kernel's base: the image ends below (checked) */

uint64_t kernel_pml4[512] __attribute__((aligned(4096)));
static uint64_t image_pdpt[512] __attribute__((aligned(4096)));
static uint64_t image_pd[512] __attribute__((aligned(4096)));
static uint64_t image_pt[IMAGE_TABLES][512] __attribute__((aligned(4096)));
static uint64_t device_pd[512] __attribute__((aligned(4096)));
static uint64_t device_pt[512] __attribute__((aligned(4096))); /* filled from the start */
static unsigned device_pages;
static uint64_t direct_pdpt[512] __attribute__((aligned(4096)));

extern char kernel_image_start[], kernel_text_end[], kernel_rodata_end[], kernel_image_end[];

static void map_image(uint64_t nx)
{
	VERIFY(image_to_phys(kernel_image_end) <= IMAGE_TABLES * LARGE_PAGE_SIZE);
	for (paddr_t pa = image_to_phys(kernel_image_start); pa < image_to_phys(kernel_image_end);
		pa += PAGE_SIZE) {
		uint64_t flags = PTE_PRESENT | PTE_WRITE | nx;
		if (pa < image_to_phys(kernel_text_end))
			flags = PTE_PRESENT;
		else if (pa < image_to_phys(kernel_rodata_end))
			flags = PTE_PRESENT | nx;
		image_pt[pa / LARGE_PAGE_SIZE][pa / PAGE_SIZE % 512] = pa | flags | PTE_GLOBAL;
	}
	for (int i = 0; i < IMAGE_TABLES; i++)
		image_pd[i] = image_to_phys(image_pt[i]) | PTE_PRESENT | PTE_WRITE;
	device_pd[0] = image_to_phys(device_pt) | PTE_PRESENT | PTE_WRITE;
	image_pdpt[511] = image_to_phys(device_pd) | PTE_PRESENT | PTE_WRITE;
	image_pdpt[510] = image_to_phys(image_pd) | PTE_PRESENT | PTE_WRITE;
	kernel_pml4[511] = image_to_phys(image_pdpt) | PTE_PRESENT | PTE_WRITE;
}

static bool is_direct(uint64_t gib, uint64_t ram_end, struct memory_range device)
{
	uint64_t start = gib << 30, end = (gib + 1) << 30;
	return start < DEVICES_END || start < ram_end || (device.start < end && start < device.end);
}

size_t kernel_map_pages(uint64_t ram_end, struct memory_range device)
{
	size_t count = 0;
	for (uint64_t gib = 0; gib < 512; gib++)
		count += is_direct(gib, ram_end, device);
	return count;
}

static void map_direct(uint64_t ram_end, struct memory_range device, paddr_t pages, uint64_t nx)
{
	uint64_t flags = PTE_PRESENT | PTE_WRITE | PTE_LARGE | PTE_GLOBAL | nx;
	for (uint64_t gib = 0; gib < 512; gib++) {
		if (!is_direct(gib, ram_end, device))
			continue;
		uint64_t *directory = phys_to_virt(pages);
		for (uint64_t i = 0; i < 512; i++)
			directory[i] = (gib << 30 | i << 21) | flags;
		direct_pdpt[gib] = pages | PTE_PRESENT | PTE_WRITE;
		pages += PAGE_SIZE;
	}
	kernel_pml4[256] = image_to_phys(direct_pdpt) | PTE_PRESENT | PTE_WRITE;
}

void kernel_map_init(uint64_t ram_end, struct memory_range device, paddr_t pages)
{
	uint64_t nx = cpu_features.nx ? PTE_NX : 0;
	map_image(nx);
	map_direct(ram_end, device, pages, nx);
}

static uint64_t physical_limit(void)
{
	uint32_t leaf[4];
	cpuid(0x80000000, 0, leaf);
	if (leaf[0] < 0x80000008)
		return 1ull << 36;
	cpuid(0x80000008, 0, leaf);
	return 1ull << (leaf[0] & 63);
}

/* The entries were absent before, so no CPU can hold them. */
void *kernel_map_device(uint64_t physical, uint64_t size)
{
	uint64_t offset = physical % PAGE_SIZE, limit = physical_limit();
	if (!size || physical >= limit || size > limit - physical)
		return NULL;
	uint64_t pages = (offset + size - 1) / PAGE_SIZE + 1;
	if (pages > 512 - device_pages)
		return NULL;
	uint64_t flags = PTE_PRESENT | PTE_WRITE | PTE_UNCACHED | PTE_GLOBAL |
		(cpu_features.nx ? PTE_NX : 0);
	char *mapped = (char *)DEVICE_BASE + device_pages * PAGE_SIZE + offset;
	for (uint64_t i = 0; i < pages; i++)
		device_pt[device_pages++] = (physical - offset + i * PAGE_SIZE) | flags;
	return mapped;
}

void kernel_map_activate(void)
{
	/* Entries with NX set are reserved-bit faults while EFER.NXE is off. */
	if (cpu_features.nx)
		wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	__asm__ volatile("mov %0, %%cr3" : : "r"(image_to_phys(kernel_pml4)) : "memory");
}
