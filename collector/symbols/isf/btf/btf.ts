import { BadInput } from '../bad-input.ts';
import { kind, tailBytes } from './kinds.ts';

const magic = 0xeb9f;
const headerBytes = 24;
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
  readonly #stringsAt: number;
  readonly #stringsBytes: number;
  /** Offset of each type's head; the first is that of `firstId`. */
  readonly #heads: Uint32Array;
  /** Number of the first type that is not the kernel's. */
  readonly firstId: number;
  /** Number of the last type, plus one. */
  readonly count: number;

  /** Throws BadInput; `name` names the part in it. `base` is the kernel's, for the BTF of a module. */
  constructor(bytes: Buffer, name = 'BTF', base?: Btf) {
    const at = (offset: number) => `${name} at 0x${offset.toString(16)}`;
    if (bytes.length < headerBytes || bytes.readUInt16LE(0) !== magic) throw new BadInput(name, 'this is no BTF');
    if (bytes[2] !== 1) throw new BadInput(at(2), `version ${bytes[2]} of BTF is not known`, 'unsupported');
    const bodyAt = bytes.readUInt32LE(4);
    const typesAt = bodyAt + bytes.readUInt32LE(8);
    const typesEnd = typesAt + bytes.readUInt32LE(12);
    this.#stringsAt = bodyAt + bytes.readUInt32LE(16);
    this.#stringsBytes = bytes.readUInt32LE(20);
    if (bodyAt < headerBytes || typesEnd > bytes.length) throw new BadInput(at(8), 'the types go beyond the end');
    if (this.#stringsAt + this.#stringsBytes > bytes.length)
      throw new BadInput(at(16), 'the strings go beyond the end');
    const heads: number[] = [];
    for (let offset = typesAt; offset < typesEnd; ) {
      if (offset + headBytes > typesEnd) throw new BadInput(at(offset), 'a type is cut off');
      const info = bytes.readUInt32LE(offset + 4);
      const found = (info >>> 24) & 0x1f;
      const tail = tailBytes[found];
      if (tail === undefined || found === kind.void) {
        throw new BadInput(at(offset), `kind ${found} of type is not known`, 'unsupported');
      }
      const next = offset + headBytes + tail.fixed + tail.each * (info & 0xffff);
      if (next > typesEnd) throw new BadInput(at(offset), 'a type goes beyond the end of the types');
      if (heads.length >= maxTypes) throw new BadInput(at(offset), `more than ${maxTypes} types`);
      heads.push(offset);
      offset = next;
    }
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
    return id === 0 ? kind.void : (this.word(id, 4) >>> 24) & 0x1f;
  }

  /** Bit 31 of the head: what it means depends on the kind. */
  flag(id: number): boolean {
    return this.word(id, 4) >>> 31 === 1;
  }

  itemCount(id: number): number {
    return this.word(id, 4) & 0xffff;
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
    const start = this.#stringsAt + offset - from;
    const limit = this.#stringsAt + this.#stringsBytes;
    if (start >= limit) throw new BadInput(this.place(id), `a name at 0x${offset.toString(16)} is beyond the strings`);
    const end = this.#bytes.subarray(start, Math.min(limit, start + maxNameBytes)).indexOf(0);
    if (end < 0) throw new BadInput(this.place(id), `a name has no end within ${maxNameBytes} bytes`);
    return this.#bytes.toString('utf8', start, start + end);
  }

  /** Offset after the last string, where those of a module begin. */
  get stringsEnd(): number {
    return (this.#base?.stringsEnd ?? 0) + this.#stringsBytes;
  }
}
