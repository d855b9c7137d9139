import { BadInput } from '../bad-input.ts';

/** The longest name of a type, field or variable; the kernel's longest has about a hundred bytes. */
const maxNameBytes = 4096;
const maxLongInline = 1 << 20;
const maxLongChars = 32 << 20;
const shortInline = 0x4000_0000;
const longInline = 0x8000_0000;

/**
 * Numbers for names, so that they need not be decoded to be told apart: below 2^30 an offset in .debug_str plus one, then
 * names of up to three bytes that lie in the entry itself, then all others by the order of their appearance. The same text
 * can have several numbers.
 */
export class Names {
  /** Of the empty text. */
  readonly none = shortInline;
  readonly #strings: Buffer;
  readonly #lineStrings: Buffer;
  readonly #long: string[] = [];
  #longChars = 0;
  readonly #longIndex = new Map<string, number>();

  constructor(strings: Buffer, lineStrings: Buffer) {
    if (strings.length >= shortInline - 1) throw new BadInput('.debug_str', 'too large', 'unsupported');
    this.#strings = strings;
    this.#lineStrings = lineStrings;
  }

  /** Of the text at an offset in .debug_str. */
  at(offset: number): number {
    if (!(offset < this.#strings.length)) {
      throw new BadInput('.debug_str', `a name at 0x${offset.toString(16)} lies beyond the section's end`);
    }
    return offset + 1;
  }

  /** Of the text at an offset in .debug_line_str. */
  atLine(offset: number): number {
    if (!(offset < this.#lineStrings.length)) {
      throw new BadInput('.debug_line_str', `a name at 0x${offset.toString(16)} lies beyond the section's end`);
    }
    return this.#intern(text(this.#lineStrings, offset, '.debug_line_str'));
  }

  /** Of the text that lies in an entry. */
  inline(bytes: Buffer, at: number): number {
    const a = bytes[at];
    if (a === 0) return shortInline;
    const b = bytes[at + 1];
    if (b === 0) return shortInline | (a as number);
    const c = bytes[at + 2];
    if (c === 0) return shortInline | (a as number) | ((b as number) << 8);
    if (bytes[at + 3] === 0) return shortInline | (a as number) | ((b as number) << 8) | ((c as number) << 16);
    return this.#intern(text(bytes, at, '.debug_info'));
  }

  text(name: number): string {
    if (name >= longInline) return this.#long[name - longInline] ?? '';
    if (name < shortInline) return text(this.#strings, name - 1, '.debug_str');
    const bytes = Buffer.from([name & 0xff, (name >> 8) & 0xff, (name >> 16) & 0xff]);
    return bytes.toString('utf8', 0, bytes.includes(0) ? bytes.indexOf(0) : 3);
  }

  #intern(long: string): number {
    let index = this.#longIndex.get(long);
    if (index === undefined) {
      index = this.#long.push(long) - 1;
      this.#longChars += long.length;
      if (index > maxLongInline || this.#longChars > maxLongChars)
        throw new BadInput('.debug_info', `more than ${maxLongInline} names outside .debug_str`);
      this.#longIndex.set(long, index);
    }
    return longInline + index;
  }
}

function text(bytes: Buffer, at: number, place: string): string {
  const end = bytes.indexOf(0, at);
  if (end < 0 || end - at > maxNameBytes) {
    throw new BadInput(`${place} at 0x${at.toString(16)}`, `a name has no end within ${maxNameBytes} bytes`);
  }
  return bytes.toString('utf8', at, end);
}
