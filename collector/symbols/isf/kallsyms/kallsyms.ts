import { BadInput } from '../bad-input.ts';

/** The kernel's symbols by name, each with its link-time address. */
export type KernelSymbols = ReadonlyMap<string, bigint>;

const newline = 0x0a;
const closingBracket = 0x5d;
const maxSymbols = 1 << 21;
/** KSYM_NAME_LEN of include/linux/kallsyms.h since 6.1. */
const maxNameBytes = 512;
const nameAt = 19;
/** The image lies in the upper 2 GiB of the address space (__START_KERNEL_map); per-CPU offsets lie below and are not moved by KASLR. */
export const imageBase = 0xffff_ffff_8000_0000n;
/** CONFIG_PHYSICAL_START is 16 MiB nearly everywhere. */
const maxStart = 64n << 20n;

/**
 * Reads the text of /proc/kallsyms (kernel/kallsyms.c, s_show): "%px %c %s", then a module in brackets. Symbols of modules and of code generated at run time are left
 * out, as they differ between boots, and the offset of KASLR is taken off. Of two static ones with a name the first counts. Throws BadInput: what is wrong and in which line, that addresses
 * are hidden, that data symbols are missing.
 */
export function readKallsyms(bytes: Buffer, kernelOffset: bigint): KernelSymbols {
  const symbols = new Map<string, bigint>();
  let line = 0;
  let shown = false;
  for (let at = 0; at < bytes.length; ) {
    line += 1;
    const found = bytes.indexOf(newline, at);
    const end = found < 0 ? bytes.length : found;
    if (end > at && bytes[end - 1] !== closingBracket) {
      const place = `kallsyms line ${line}`;
      if (end - at <= nameAt || end - at > nameAt + maxNameBytes)
        throw new BadInput(place, `a line of ${end - at} bytes`);
      const address = addressOf(bytes, at, place);
      shown ||= address !== 0n;
      const name = bytes.toString('utf8', at + nameAt, end);
      if (!symbols.has(name)) {
        if (symbols.size >= maxSymbols) throw new BadInput(place, `more than ${maxSymbols} symbols`);
        symbols.set(name, address >= imageBase ? address - kernelOffset : address);
      }
    }
    at = end + 1;
  }
  check(symbols, shown, kernelOffset);
  return symbols;
}

function addressOf(bytes: Buffer, at: number, place: string): bigint {
  const digits = bytes.toString('latin1', at, at + 16);
  const separated = bytes[at + 16] === 0x20 && bytes[at + 18] === 0x20;
  if (!separated || !/^[0-9a-f]{16}$/.test(digits)) throw new BadInput(place, 'this is no address, type and name');
  return BigInt(`0x${digits}`);
}

function check(symbols: KernelSymbols, shown: boolean, kernelOffset: bigint): void {
  if (symbols.size === 0) throw new BadInput('kallsyms', 'there are no symbols of the kernel');
  if (!shown) {
    const problem = 'addresses are hidden: the reader needs CAP_SYSLOG, or kernel.kptr_restrict of 1 or 0';
    throw new BadInput('kallsyms', problem, 'unsupported');
  }
  const start = symbols.get('_stext');
  if (start === undefined) throw new BadInput('kallsyms', 'there is no _stext');
  if (start < imageBase || start >= imageBase + maxStart) {
    const problem = `_stext is linked to 0x${start.toString(16)} if KERNELOFFSET is 0x${kernelOffset.toString(16)}: the two are not of one boot`;
    throw new BadInput('kallsyms', problem);
  }
  const missing = ['init_task', 'init_mm', 'init_uts_ns', 'init_pid_ns'].filter((name) => !symbols.has(name));
  if (missing.length > 0) {
    const problem = `the kernel was built without CONFIG_KALLSYMS_ALL: data symbols are missing (${missing.join(', ')}); give a vmlinux or an ISF instead`;
    throw new BadInput('kallsyms', problem, 'unsupported');
  }
}
