import { kind } from '../btf/kinds.ts';

/** A member of a struct; `bits` above 0 makes it a bit field. */
export interface Member {
  readonly name: string;
  readonly type: number;
  readonly offsetBits: number;
  readonly bits?: number;
}

/** kind_flag beside a kind, in the word of `info`. */
const flagged = 0x80;

/** Writes BTF type by type (Documentation/bpf/btf.rst); each call returns the number of the type. */
export class BtfWriter {
  readonly #types: Buffer[] = [];
  readonly #firstId: number;
  readonly #stringsFrom: number;
  #strings: Buffer;
  readonly #offsets = new Map<string, number>();

  /** For a module: the number of its first type, and where the kernel's strings end. */
  constructor(firstId = 1, stringsFrom = 0) {
    this.#firstId = firstId;
    this.#stringsFrom = stringsFrom;
    this.#strings = stringsFrom === 0 ? Buffer.from('\0') : Buffer.alloc(0);
  }

  get nextId(): number {
    return this.#firstId + this.#types.length;
  }

  get stringsEnd(): number {
    return this.#stringsFrom + this.#strings.length;
  }

  int(name: string, sizeBytes: number, flags = 0, bits = sizeBytes * 8, shift = 0): number {
    return this.add(name, kind.int, 0, sizeBytes, [(flags << 24) | (shift << 16) | bits]);
  }

  to(found: number, type: number, name = ''): number {
    return this.add(name, found, 0, type, []);
  }

  array(element: number, count: number, index: number): number {
    return this.add('', kind.array, 0, 0, [element, index, count]);
  }

  /** With the flag that all of today's compilers set: offset and width of members in one number. */
  struct(name: string, sizeBytes: number, members: readonly Member[], found: number = kind.struct): number {
    const words = members.flatMap((member) => {
      const place = ((member.bits ?? 0) << 24) | member.offsetBits;
      return [this.#string(member.name), member.type, place];
    });
    return this.add(name, found | flagged, members.length, sizeBytes, words);
  }

  enum(name: string, constants: Readonly<Record<string, number>>, signed = false, sizeBytes = 4): number {
    const words = Object.entries(constants).flatMap(([constant, value]) => [this.#string(constant), value]);
    return this.add(name, signed ? kind.enum | flagged : kind.enum, words.length / 2, sizeBytes, words);
  }

  enum64(name: string, constants: Readonly<Record<string, bigint>>, signed = false): number {
    const words = Object.entries(constants).flatMap(([constant, value]) => {
      const wide = BigInt.asUintN(64, value);
      return [this.#string(constant), Number(wide & 0xffff_ffffn), Number(wide >> 32n)];
    });
    return this.add(name, signed ? kind.enum64 | flagged : kind.enum64, words.length / 3, 8, words);
  }

  /** Any type: its head, then words. `found` is a kind, with `flagged` or without. */
  add(name: string, found: number, items: number, sizeOrType: number, words: readonly number[]): number {
    const bytes = Buffer.alloc(12 + words.length * 4);
    bytes.writeUInt32LE(this.#string(name), 0);
    bytes.writeUInt32LE(((found << 24) | items) >>> 0, 4);
    bytes.writeUInt32LE(sizeOrType, 8);
    for (const [index, word] of words.entries()) bytes.writeUInt32LE(word >>> 0, 12 + index * 4);
    this.#types.push(bytes);
    return this.nextId - 1;
  }

  /** With a layout section if `layout` gives sizes of kinds: their fixed part, each item, and flags. */
  bytes(layout: readonly (readonly [fixed: number, each: number, flags?: number])[] = []): Buffer {
    const types = Buffer.concat(this.#types);
    const header = Buffer.alloc(layout.length > 0 ? 32 : 24);
    const sizes = Buffer.from(layout.flatMap(([fixed, each, flags = 0]) => [fixed, each, flags, 0]));
    header.writeUInt16LE(0xeb9f, 0);
    header[2] = 1;
    header.writeUInt32LE(header.length, 4);
    header.writeUInt32LE(types.length, 12);
    header.writeUInt32LE(types.length + sizes.length, 16);
    header.writeUInt32LE(this.#strings.length, 20);
    if (layout.length > 0) {
      header.writeUInt32LE(types.length, 24);
      header.writeUInt32LE(sizes.length, 28);
    }
    return Buffer.concat([header, types, sizes, this.#strings]);
  }

  #string(text: string): number {
    if (text === '') return 0;
    const known = this.#offsets.get(text);
    if (known !== undefined) return known;
    const at = this.stringsEnd;
    this.#strings = Buffer.concat([this.#strings, Buffer.from(`${text}\0`)]);
    this.#offsets.set(text, at);
    return at;
  }
}

/** BTF of a small kernel that has a bit of everything. */
export function smallKernel(): BtfWriter {
  const btf = new BtfWriter();
  const int = btf.int('int', 4, 1);
  const unsigned = btf.int('unsigned int', 4);
  const char = btf.int('char', 1, 1);
  btf.int('long unsigned int', 8);
  btf.int('_Bool', 1, 4);
  btf.add('double', kind.float, 0, 8, []);
  const list = btf.nextId;
  btf.struct('list_head', 16, [
    { name: 'next', type: list + 1, offsetBits: 0 },
    { name: 'prev', type: list + 1, offsetBits: 64 },
  ]);
  btf.to(kind.pointer, list);
  const comm = btf.array(char, 16, unsigned);
  const inner = btf.struct('', 8, [
    { name: 'a', type: int, offsetBits: 0 },
    { name: 'b', type: unsigned, offsetBits: 32 },
  ]);
  const union = btf.struct('', 8, [{ name: 'whole', type: int, offsetBits: 0 }], kind.union);
  const constant = btf.to(kind.const, int);
  const volatileInt = btf.to(kind.volatile, constant);
  const state = btf.enum('state', { RUNNING: 0, DEAD: 0x80000000 });
  const flags = btf.enum64('flags', { ALL: 0xffff_ffff_ffff_ffffn });
  const task = btf.struct('task_struct', 128, [
    { name: 'tasks', type: list, offsetBits: 0 },
    { name: 'comm', type: comm, offsetBits: 128 },
    { name: '', type: inner, offsetBits: 256 },
    { name: '', type: union, offsetBits: 320 },
    { name: 'pid', type: volatileInt, offsetBits: 384 },
    { name: 'in_execve', type: unsigned, offsetBits: 419, bits: 1 },
    { name: 'state', type: state, offsetBits: 448 },
    { name: 'flags', type: flags, offsetBits: 512 },
  ]);
  btf.to(kind.typedef, inner, 'pair_t');
  btf.to(kind.typedef, int, 'pid_t');
  btf.enum('', { LEFT: -1, RIGHT: 1 }, true);
  btf.add('hidden', kind.forward, 0, 0, []);
  const proto = btf.add('', kind.functionProto, 1, int, [0, task]);
  btf.add('schedule', kind.function, 0, proto, []);
  btf.struct('', 24, [
    { name: 'seq', type: unsigned, offsetBits: 0 },
    { name: 'timekeeper', type: list, offsetBits: 64 },
  ]);
  for (const name of ['mm_struct', 'uts_namespace', 'pid_namespace', 'mod_tree_root']) btf.struct(name, 8, []);
  const variable = btf.add('runqueues', kind.variable, 0, task, [1]);
  btf.add('.data..percpu', kind.dataSection, 1, 128, [variable, 0x1f40, 128]);
  btf.add('tag', kind.declTag, 0, task, [0]);
  btf.to(kind.typeTag, task, 'rcu');
  return btf;
}

/** kallsyms of the same kernel, moved by 0x1a000000. */
export const smallKallsyms = `0000000000001f40 A runqueues
ffffffff9b000000 T _stext
ffffffff9b001000 T schedule
ffffffff9c000000 D init_task
ffffffff9c000100 D init_mm
ffffffff9c000200 D init_uts_ns
ffffffff9c000300 D init_pid_ns
ffffffff9c000400 D linux_banner
ffffffff9c000500 b tk_core
ffffffff9c000600 D modules
ffffffff9c000700 D prb
ffffffffc0000000 t ext4_sync\t[ext4]
`;
