import { BadInput } from '../bad-input.ts';
import { PromotedNames } from '../promoted-names.ts';
import { checkKernelOffset, checkSymbols, imageBase } from './check-symbols.ts';

/** The kernel's own symbols. */
export interface KernelSymbols {
  /** Link-time addresses by name, in the order of the list; then plain names of what link-time optimization renamed. */
  readonly addresses: ReadonlyMap<string, bigint>;
  /** Names of several static symbols and of no global one: which of them a name means cannot be told. */
  readonly ambiguous: ReadonlySet<string>;
}

const newline = 0x0a;
const closingBracket = 0x5d;
const maxSymbols = 1 << 21;
/** KSYM_NAME_LEN of include/linux/kallsyms.h since 6.1. */
const maxNameBytes = 512;
const typeAt = 17;
const nameAt = 19;
const rank = { staticText: 1, global: 2 } as const;

/**
 * Reads the text of /proc/kallsyms (kernel/kallsyms.c, s_show): "%px %c %s", then a module in brackets. Symbols of modules and of code
 * generated at run time are left out, as they differ between boots, and the offset of KASLR is taken off. Of several symbols with a name the
 * global one counts, else a function, else the last, as mostly in dwarf2json. Throws BadInput: what is wrong and in which line, that addresses are hidden, that data
 * symbols are missing.
 */
export function readKallsyms(bytes: Buffer, kernelOffset: bigint): KernelSymbols {
  checkKernelOffset(kernelOffset);
  const addresses = new Map<string, bigint>();
  const ranks = new Map<string, number>();
  const repeated = new Set<string>();
  const promoted = new PromotedNames();
  let line = 0;
  let shown = false;
  for (let at = 0; at < bytes.length; ) {
    line += 1;
    const end = bytes.indexOf(newline, at);
    if (end < 0) throw new BadInput(`kallsyms line ${line}`, 'the list is cut off: its last line has no end');
    if (end > at && bytes[end - 1] !== closingBracket) {
      const place = `kallsyms line ${line}`;
      if (end - at <= nameAt || end - at > nameAt + maxNameBytes)
        throw new BadInput(place, `a line of ${end - at} bytes`);
      const address = addressOf(bytes, at, place);
      shown ||= address !== 0n;
      const name = bytes.toString('utf8', at + nameAt, end);
      promoted.note(name);
      if (addresses.has(name)) repeated.add(name);
      else if (addresses.size >= maxSymbols) throw new BadInput(place, `more than ${maxSymbols} symbols`);
      const found = rankOf(bytes[at + typeAt] ?? 0);
      if (found >= (ranks.get(name) ?? 0)) {
        addresses.set(name, address >= imageBase ? address - kernelOffset : address);
        if (found > 0) ranks.set(name, found);
      }
    }
    at = end + 1;
  }
  checkSymbols(addresses, shown, kernelOffset);
  for (const [plain, full] of promoted.unambiguous(addresses)) addresses.set(plain, addresses.get(full) as bigint);
  return { addresses, ambiguous: new Set([...repeated].filter((name) => ranks.get(name) !== rank.global)) };
}

/**
 * Capital letters are those of global symbols (nm(1)), but for A: every per-CPU variable is one, static or not (scripts/kallsyms.c). What is static is
 * looked for by its address, and that is a function's: a hook, a callback, a thread.
 */
function rankOf(type: number): number {
  if (type > 0x41 && type <= 0x5a) return rank.global;
  return type === 0x74 ? rank.staticText : 0;
}

function addressOf(bytes: Buffer, at: number, place: string): bigint {
  const digits = bytes.toString('latin1', at, at + 16);
  const separated = bytes[at + 16] === 0x20 && bytes[at + 18] === 0x20;
  if (!separated || !/^[0-9a-f]{16}$/.test(digits)) throw new BadInput(place, 'this is no address, type and name');
  return BigInt(`0x${digits}`);
}
