/* Brings one CPU into the state that the kernel assumes. Features are found once; each CPU then
 * gets its descriptor tables, control registers and SYSCALL entry. Intel SDM volume 3 chapters 2
 * (control registers), 5.8.7 (SYSCALL), 13 (XSAVE), 15 (machine checks). */
#include "arch/impl/x86.h"

#include "arch/cpu.h"
#include "arch/x86_64/arch.h"
#include "arch/x86_64/asm.h"
#include "core/log.h"
#include "core/percpu.h"
#include "core/string.h"
#include "mm/frame.h"

struct cpu_features cpu_features;

_Static_assert(offsetof(struct percpu, self) == PERCPU_SELF_OFFSET &&
		offsetof(struct percpu, current) == PERCPU_CURRENT_OFFSET,
	"percpu() and thread_current() read them");

#define MSR_STAR 0xc0000081u
#define MSR_LSTAR 0xc0000082u
#define MSR_SFMASK 0xc0000084u
#define MSR_GS_BASE 0xc0000101u

#define CR0_BITS 0x80010033ul /* PG WP NE ET MP PE */
#define CR4_PAE 0x20ul
#define CR4_MCE 0x40ul
#define CR4_PGE 0x80ul
#define CR4_OSFXSR_OSXMMEXCPT 0x600ul
#define CR4_UMIP 0x800ul
#define CR4_FSGSBASE 0x10000ul
#define CR4_OSXSAVE 0x40000ul
#define CR4_SMEP 0x100000ul
#define CR4_SMAP 0x200000ul
/* Cleared by SYSCALL: CF..OF stay; TF, IF, DF, NT, AC go. */
#define SYSCALL_FLAG_MASK 0x44700ul
#define MSR_MCG_CAP 0x179u
#define MSR_MCG_CTL 0x17bu
#define MSR_MC0_CTL 0x400u /* four registers a bank: control, status, address, more */
#define MCG_CAP_BANKS 0xffu
#define MCG_CAP_CTL 0x100u
#define MC_STATUS_VALID (1ul << 63)
#define MC_STATUS_ADDRESS (1ul << 58)
/* x87, SSE, AVX, and the three AVX-512 components, where the CPU has them (SDM 13.1). */
#define XSAVE_COMPONENTS 0xe7ul

#define MSR_ARCH_CAPABILITIES 0x10au
#define RDCL_NO 0x1ul
#define MDS_NO 0x20ul

static void detect_xsave(void)
{
	uint32_t r[4];
	cpuid(0xd, 0, r);
	uint64_t mask = r[0] & XSAVE_COMPONENTS;
	if ((mask & 0xe0) != 0xe0)
		mask &= ~0xe0ul;
	cpu_features.xsave_mask = mask;
}

/* Of family 6, models before 1AH: SDM 15.3.2.1. */
static bool bank_0_is_firmware(uint32_t signature)
{
	uint32_t family = signature >> 8 & 0xf;
	uint32_t model = (signature >> 4 & 0xf) | (signature >> 12 & 0xf0);
	return family == 6 && model < 0x1a;
}

void cpu_detect(void)
{
	uint32_t r[4];
	cpuid(0, 0, r);
	uint32_t leaves = r[0];
	cpuid(1, 0, r);
	cpu_features.mce = (r[3] >> 7 & 1) && (r[3] >> 14 & 1);
	cpu_features.mc_first_bank = bank_0_is_firmware(r[0]);
	cpu_features.pge = r[3] >> 13 & 1;
	cpu_features.pat = r[3] >> 16 & 1;
	cpu_features.x2apic = r[2] >> 21 & 1;
	cpu_features.tsc_deadline = r[2] >> 24 & 1;
	cpu_features.xsave = r[2] >> 26 & 1;
	cpu_features.rdrand = r[2] >> 30 & 1;
	if (leaves >= 7) {
		cpuid(7, 0, r);
		cpu_features.fsgsbase = r[1] & 1;
		cpu_features.smep = r[1] >> 7 & 1;
		cpu_features.rdseed = r[1] >> 18 & 1;
		cpu_features.smap = r[1] >> 20 & 1;
		cpu_features.umip = r[2] >> 2 & 1;
	}
	cpu_features.quick_context = cpu_features.fsgsbase && cpu_features.xsave;
	cpuid(0x80000000, 0, r);
	uint32_t extended = r[0];
	if (extended >= 0x80000001) {
		cpuid(0x80000001, 0, r);
		cpu_features.nx = r[3] >> 20 & 1;
		cpu_features.page1g = r[3] >> 26 & 1;
	}
	if (extended >= 0x80000007) {
		cpuid(0x80000007, 0, r);
		cpu_features.invariant_tsc = r[3] >> 8 & 1;
	}
	cpu_features.xsave_size = 512;
	if (cpu_features.xsave)
		detect_xsave();
}

/* Only Intel's processors had these faults. Those without them say so in a register of SDM volume
 * 4, table 2-2, which leaf 7 announces; hypervisors pass on both. */
const char *cpu_leaks(void)
{
	uint32_t r[4];
	uint64_t capabilities = 0;
	cpuid(0, 0, r);
	if (r[1] != 0x756e6547 || r[3] != 0x49656e69 || r[2] != 0x6c65746e) /* "GenuineIntel" */
		return NULL;
	if (r[0] >= 7) {
		cpuid(7, 0, r);
		if (r[3] >> 29 & 1)
			capabilities = rdmsr(MSR_ARCH_CAPABILITIES);
	}
	if (!(capabilities & RDCL_NO))
		return capabilities & MDS_NO ? "Meltdown" : "Meltdown, MDS";
	return capabilities & MDS_NO ? NULL : "MDS";
}

const char *cpu_unsupported(void)
{
	uint32_t r[4];
	cpuid(0x80000001, 0, r);
	if (!(r[3] >> 11 & 1) || !(r[3] >> 29 & 1))
		return "this processor lacks SYSCALL or long mode";
	cpuid(1, 0, r);
	if (!(r[3] >> 24 & 1) || !(r[3] >> 26 & 1))
		return "this processor lacks FXSAVE or SSE2, which Go code needs";
	if (!(r[3] >> 9 & 1))
		return "this processor has no local APIC";
	return NULL;
}

static void load_descriptor_tables(struct percpu *cpu)
{
	uint64_t tss = (uint64_t)&cpu->arch.tss;
	cpu->arch.tss.io_map_base = sizeof cpu->arch.tss;
	cpu->arch.gdt[1] = 0x00af9b000000ffff; /* kernel code */
	cpu->arch.gdt[2] = 0x00cf93000000ffff; /* kernel data */
	/* 3 stays empty. SYSRET counts from there, but 32-bit code would reach entry points that
	 * the kernel does not have. */
	cpu->arch.gdt[4] = 0x00cff3000000ffff; /* user data */
	cpu->arch.gdt[5] = 0x00affb000000ffff; /* user code */
	cpu->arch.gdt[6] = (sizeof cpu->arch.tss - 1) | (tss & 0xffffff) << 16 | 0x89ul << 40 |
		(tss >> 24 & 0xff) << 56;
	cpu->arch.gdt[7] = tss >> 32;
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) pointer = { sizeof cpu->arch.gdt - 1, (uint64_t)cpu->arch.gdt };
	__asm__ volatile("lgdt %0\n\t"
			 "pushq %1\n\t"
			 "leaq 1f(%%rip), %%rax\n\t"
			 "pushq %%rax\n\t"
			 "lretq\n"
			 "1:\tmovl %2, %%ss\n\t"
			 "ltr %w3\n\t"
			 "lldt %w4" /* none: after a reset the register is not empty */
		:
		: "m"(pointer), "i"(SELECTOR_KERNEL_CODE), "r"(SELECTOR_KERNEL_DATA),
		"r"(SELECTOR_TSS), "r"(0)
		: "rax", "memory");
}

void cpu_begin(struct percpu *cpu)
{
	cpu->self = cpu;
	wrmsr(MSR_GS_BASE, (uint64_t)cpu);
}

/* Two pages each for the exceptions that need a known good stack; its top word is the per-CPU
 * pointer (entry.S). */
void cpu_prepare(struct percpu *cpu)
{
	for (int i = 0; i < 3; i++) {
		paddr_t frame = frame_alloc(KERNEL_PAYS, 1, FRAME_ZERO);
		VERIFY(frame);
		uint64_t top = (uint64_t)phys_to_virt(frame) + 2 * PAGE_SIZE - 16;
		*(uint64_t *)top = (uint64_t)cpu;
		cpu->arch.tss.ist[i] = top;
	}
}

/* Every bank reports every error it knows: SDM 15.8. Until CR4.MCE is set, after this, a machine
 * check shuts the machine down without a message. */
static void enable_machine_checks(void)
{
	uint64_t capabilities = rdmsr(MSR_MCG_CAP);
	if (capabilities & MCG_CAP_CTL)
		wrmsr(MSR_MCG_CTL, UINT64_MAX);
	for (uint32_t bank = 0; bank < (capabilities & MCG_CAP_BANKS); bank++) {
		if (bank >= cpu_features.mc_first_bank)
			wrmsr(MSR_MC0_CTL + 4 * bank, UINT64_MAX);
		wrmsr(MSR_MC0_CTL + 4 * bank + 1, 0);
	}
}

void machine_check_print(void)
{
	uint32_t banks = cpu_features.mce ? rdmsr(MSR_MCG_CAP) & MCG_CAP_BANKS : 0;
	for (uint32_t bank = 0; bank < banks; bank++) {
		uint64_t status = rdmsr(MSR_MC0_CTL + 4 * bank + 1);
		if (!(status & MC_STATUS_VALID))
			continue;
		uint64_t address =
			status & MC_STATUS_ADDRESS ? rdmsr(MSR_MC0_CTL + 4 * bank + 2) : 0;
		log_printf("  bank %u: status %016lx address %lx", bank, status, address);
	}
}

static void enable_features(void)
{
	uint64_t cr4 = CR4_PAE | CR4_OSFXSR_OSXMMEXCPT;
	if (cpu_features.mce)
		enable_machine_checks();
	cr4 |= cpu_features.mce ? CR4_MCE : 0;
	cr4 |= cpu_features.pge ? CR4_PGE : 0;
	cr4 |= cpu_features.umip ? CR4_UMIP : 0;
	cr4 |= cpu_features.fsgsbase ? CR4_FSGSBASE : 0;
	cr4 |= cpu_features.xsave ? CR4_OSXSAVE : 0;
	cr4 |= cpu_features.smep ? CR4_SMEP : 0;
	cr4 |= cpu_features.smap ? CR4_SMAP : 0;
	/* No entry has chosen write-combining yet, so no cache and no TLB holds anything by the old
	 * meaning, and all CPUs come to have the same one before they run programs. */
	if (cpu_features.pat)
		wrmsr(MSR_PAT, PAT_VALUE);
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4));
	__asm__ volatile("mov %0, %%cr0" : : "r"(CR0_BITS));
	if (cpu_features.xsave) {
		__asm__ volatile("xsetbv"
			:
			: "c"(0), "a"((uint32_t)cpu_features.xsave_mask),
			"d"((uint32_t)(cpu_features.xsave_mask >> 32)));
		uint32_t r[4];
		cpuid(0xd, 0, r);
		cpu_features.xsave_size = r[1];
	}
}

void cpu_setup(struct percpu *cpu)
{
	cpu_begin(cpu);
	load_descriptor_tables(cpu);
	wrmsr(MSR_KERNEL_GS_BASE, 0);
	wrmsr(MSR_FS_BASE, 0);
	enable_features();
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE);
	wrmsr(MSR_STAR,
		(uint64_t)(SELECTOR_USER_CODE - 16) << 48 | (uint64_t)SELECTOR_KERNEL_CODE << 32);
	wrmsr(MSR_LSTAR, (uint64_t)entry_syscall);
	wrmsr(MSR_SFMASK, SYSCALL_FLAG_MASK);
}
