import { closeSync, openSync, readSync } from 'node:fs';

const chunkBytes = 1 << 15;
const newline = 0x0a;
const closingBracket = 0x5d;
const addressDigits = 16;
/** The kernel's image lies in the upper 2 GiB of the address space; per-CPU offsets lie far below and are not moved by KASLR. */
const imageBase = 0x8000_0000;

/** What a pass over /proc/kallsyms saw. */
export interface SymbolListEnd {
  readonly symbols: number;
  /** Every address was 0: the kernel hides them from this reader (kernel.kptr_restrict, kernel/kallsyms.c). */
  readonly hidden: boolean;
}

/**
 * The symbol list of the contract (SendKernelTypes): /proc/kallsyms without the symbols of modules and of code generated at run time, both of
 * which stand in brackets, and with the addresses of the image less `kernelOffset`. So two boots of one build give the same bytes. A yielded buffer holds
 * until the next one is asked for. Throws errors of the file system.
 */
export function* readSymbolList(path: string, kernelOffset: number): Generator<Buffer, SymbolListEnd> {
  const fd = openSync(path, 'r');
  try {
    const input = Buffer.alloc(chunkBytes);
    const output = Buffer.alloc(chunkBytes);
    let held = 0;
    let out = 0;
    let symbols = 0;
    let shown = false;
    while (true) {
      const count = readSync(fd, input, held, input.length - held, null);
      const filled = held + count;
      if (count === 0) break;
      let at = 0;
      // The kernel gives a page at a time, and a message each would be more than the collector keeps unread.
      if (out + filled > output.length) {
        yield output.subarray(0, out);
        out = 0;
      }
      for (let end = input.indexOf(newline, at); end !== -1 && end < filled; end = input.indexOf(newline, at)) {
        if (input[end - 1] !== closingBracket) {
          shown = moveAddress(input, at, kernelOffset) || shown;
          out += input.copy(output, out, at, end + 1);
          symbols += 1;
        }
        at = end + 1;
      }
      input.copyWithin(0, at, filled);
      held = filled - at;
      // No line of kallsyms is that long: KSYM_NAME_LEN is 512.
      if (held === input.length) break;
    }
    if (out > 0) yield output.subarray(0, out);
    return { symbols, hidden: !shown };
  } finally {
    closeSync(fd);
  }
}

/** Takes the offset off an address of the image, in place; whether the address was not 0. */
function moveAddress(line: Buffer, at: number, kernelOffset: number): boolean {
  let upper = 0;
  let lower = 0;
  for (let index = 0; index < addressDigits; index += 1) {
    const digit = digitOf(line[at + index] ?? 0);
    if (digit < 0) return false;
    if (index < 8) upper = upper * 16 + digit;
    else lower = lower * 16 + digit;
  }
  if (upper === 0xffff_ffff && lower >= imageBase) {
    let moved = lower - kernelOffset;
    for (let index = addressDigits - 1; index >= 8; index -= 1) {
      const digit = moved % 16;
      line[at + index] = digit < 10 ? 0x30 + digit : 0x57 + digit;
      moved = (moved - digit) / 16;
    }
  }
  return upper !== 0 || lower !== 0;
}

function digitOf(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  if (byte >= 0x61 && byte <= 0x66) return byte - 0x57;
  return -1;
}
