import { BadInput } from '../bad-input.ts';
import { type BtfHeader, newer, readHeader } from './header.ts';
import { flaggedKinds, kind, tailBytes } from './kinds.ts';

const headBytes = 12;
/** A kernel has about 100,000. */
const maxTypes = 1 << 22;
const maxNameBytes = 1024;

/**
 * The types of a kernel (Documentation/bpf/btf.rst), numbered from 1; 0 is void. A module's types and strings go on where its kernel's end. Every
 * number that is handed out was checked to lie in its place; what a type refers to is checked when it is followed.
 */
export class Btf {
  readonly #bytes: Buffer;
  readonly #name: string;
  readonly #base: Btf | undefined;
  readonly #header: BtfHeader;
  /** Offset of each type's head; the first is that of `firstId`. */
  readonly #heads: Uint32Array;
  /** Number of the first type that is not the kernel's. */
  readonly firstId: number;
  /** Number of the last type, plus one. */
  readonly count: number;

  /** Throws BadInput; `name` names the part in it. `base` is the kernel's, for the BTF of a module. */
  constructor(bytes: Buffer, name = 'BTF', base?: Btf) {
    const header = readHeader(bytes, name, base === undefined ? undefined : base.#header);
    const heads: number[] = [];
    let offset = header.typesAt;
    const refusal = (problem: string, isUnknown = false) =>
      new BadInput(`${name} at 0x${offset.toString(16)}`, problem, isUnknown ? 'unsupported' : 'damaged');
    while (offset < header.typesEnd) {
      if (offset + headBytes > header.typesEnd) throw refusal('a type is cut off');
      const info = bytes.readUInt32LE(offset + 4);
      const found = kindOf(info);
      const tail = header.tails[found];
      if (tail === undefined || found === kind.void)
        throw refusal(`kind ${found} of type is not known: ${newer}`, true);
      if (hasUnknownBits(info)) throw refusal(`a type of kind ${found} has bits that are not known: ${newer}`, true);
      const next = offset + headBytes + tail.fixed + tail.each * itemsOf(info);
      if (next > header.typesEnd) throw refusal('a type goes beyond the end of the types');
      if (heads.length >= maxTypes) throw refusal(`more than ${maxTypes} types`);
      heads.push(offset);
      offset = next;
    }
    this.#header = header;
    this.#bytes = bytes;
    this.#name = name;
    this.#base = base;
    this.#heads = Uint32Array.from(heads);
    this.firstId = base?.count ?? 1;
    this.count = this.firstId + heads.length;
  }

  /** Where a type stands, for people. */
  place(id: number): string {
    if (id < this.firstId && this.#base !== undefined) return this.#base.place(id);
    return `${this.#name} at 0x${(this.#heads[id - this.firstId] ?? 0).toString(16)} (type ${id})`;
  }

  kind(id: number): number {
    return id === 0 ? kind.void : kindOf(this.word(id, 4));
  }

  /** Bit 31 of the head: what it means depends on the kind. */
  flag(id: number): boolean {
    return this.word(id, 4) >>> 31 === 1;
  }

  itemCount(id: number): number {
    return itemsOf(this.word(id, 4));
  }

  /** Size in bytes, or the type referred to, by the kind. */
  sizeOrType(id: number): number {
    return this.word(id, 8);
  }

  /** Name of a type; empty when it has none. */
  name(id: number): string {
    return id === 0 ? '' : this.text(this.word(id, 0), id);
  }

  /** A 32-bit number at an offset from a type's head; the caller knows by kind and count that it is the type's. */
  word(id: number, offset: number): number {
    if (id < this.firstId && this.#base !== undefined) return this.#base.word(id, offset);
    const head = this.#heads[id - this.firstId];
    if (head === undefined) throw new BadInput(this.#name, `a type refers to type ${id}, and there is none`);
    return this.#bytes.readUInt32LE(head + offset);
  }

  /** The string at an offset, for the type `id`. */
  text(offset: number, id: number): string {
    const from = this.#base?.stringsEnd ?? 0;
    if (offset < from && this.#base !== undefined) return this.#base.text(offset, id);
    const start = this.#header.stringsAt + offset - from;
    const limit = this.#header.stringsAt + this.#header.stringsBytes;
    if (start >= limit) throw new BadInput(this.place(id), `a name at 0x${offset.toString(16)} is beyond the strings`);
    const end = this.#bytes.subarray(start, Math.min(limit, start + maxNameBytes)).indexOf(0);
    if (end < 0) throw new BadInput(this.place(id), `a name has no end within ${maxNameBytes} bytes`);
    return this.#bytes.toString('utf8', start, start + end);
  }

  /** Offset after the last string, where those of a module begin. */
  get stringsEnd(): number {
    return (this.#base?.stringsEnd ?? 0) + this.#header.stringsBytes;
  }
}

/** Bits 24 to 30; up to 2026 bits 24 to 28, and those above were 0. */
function kindOf(info: number): number {
  return (info >>> 24) & 0x7f;
}

/** Bits 0 to 23; up to 2026 bits 0 to 15, and those above were 0. */
function itemsOf(info: number): number {
  return info & 0xff_ffff;
}

/** True for a type of a known kind with a flag or items that the kind cannot have; a function's are its linkage. */
function hasUnknownBits(info: number): boolean {
  const found = kindOf(info);
  const known = tailBytes[found];
  if (known === undefined) return false;
  const hasItems = itemsOf(info) !== 0 && known.each === 0 && found !== kind.function;
  return hasItems || (info >>> 31 === 1 && !flaggedKinds.has(found));
}
