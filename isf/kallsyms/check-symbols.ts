import { BadInput } from '../bad-input.ts';

/** The image lies in the upper 2 GiB of the address space (__START_KERNEL_map); per-CPU offsets lie below and are not moved by KASLR. */
export const imageBase = 0xffff_ffff_8000_0000n;
/** What the kernel is aligned to wherever it is linked or moved to (CONFIG_PHYSICAL_ALIGN, arch/x86/Kconfig: 2 MiB at least). */
const alignment = 2n << 20n;
/** CONFIG_PHYSICAL_START is 16 MiB nearly everywhere. */
const maxStart = 64n << 20n;
/** RANDOMIZE_BASE_MAX_OFFSET. */
const maxOffset = 1n << 30n;

/** Throws BadInput for an offset that KASLR never makes. */
export function checkKernelOffset(kernelOffset: bigint): void {
  if (kernelOffset >= 0n && kernelOffset < maxOffset && kernelOffset % alignment === 0n) return;
  throw new BadInput('KERNELOFFSET', `${hex(kernelOffset)} is no offset of KASLR: a multiple of 2 MiB below 1 GiB`);
}

/** Throws BadInput when the addresses (the offset is off already) are hidden or not of this boot, or variables are missing. */
export function checkSymbols(addresses: ReadonlyMap<string, bigint>, shown: boolean, kernelOffset: bigint): void {
  if (addresses.size === 0) throw new BadInput('kallsyms', 'there are no symbols of the kernel');
  if (!shown) {
    const problem = 'addresses are hidden: the reader needs CAP_SYSLOG, or kernel.kptr_restrict of 1 or 0';
    throw new BadInput('kallsyms', problem, 'unsupported');
  }
  const text = addresses.get('_stext');
  if (text === undefined) throw new BadInput('kallsyms', 'there is no _stext');
  const start = addresses.get('_text') ?? text;
  for (const [name, address, step] of [['_stext', text, 1n] as const, ['_text', start, alignment] as const]) {
    if (address >= imageBase && address < imageBase + maxStart && address % step === 0n) continue;
    const problem = `${name} is linked to ${hex(address)} if KERNELOFFSET is ${hex(kernelOffset)}: the two are not of one boot`;
    throw new BadInput('kallsyms', problem);
  }
  const missing = ['init_task', 'init_mm', 'init_uts_ns', 'init_pid_ns'].filter((name) => !addresses.has(name));
  if (missing.length > 0) {
    const problem = `the kernel was built without CONFIG_KALLSYMS_ALL: data symbols are missing (${missing.join(', ')}); give a vmlinux or an ISF instead`;
    throw new BadInput('kallsyms', problem, 'unsupported');
  }
}

function hex(value: bigint): string {
  return value < 0n ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
}
