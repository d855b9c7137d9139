import { BadInput } from '../bad-input.ts';
import { slot, tag } from './codes.ts';
import type { DebugSections } from './debug-sections.ts';
import { Entry } from './entry.ts';
import { unsignedLeb } from './leb.ts';
import { place, type Unit } from './unit.ts';
import type { Units } from './units.ts';

/** A member of a struct, union or class (DWARF 5, section 5.7.6). Bytes and bits; 0 where nothing is said. */
export interface Member {
  readonly name: string;
  /** Offset of its type; 0 is void. */
  readonly type: number;
  readonly byteOffset: number;
  readonly byteSize: number;
  readonly bitSize: number;
  readonly bitOffset: number;
  readonly dataBitOffset: number;
}

/** What the entry of a type says, without what it refers to. */
export interface TypeNode {
  readonly offset: number;
  readonly tag: number;
  readonly name: string;
  /** undefined where nothing is said. */
  readonly byteSize: number | undefined;
  readonly addressBytes: number;
  readonly declared: boolean;
  readonly encoding: number | undefined;
  /** Offset of the type that it is made of; 0 is void. */
  readonly type: number;
  readonly members: readonly Member[];
  readonly enumerators: readonly (readonly [name: string, value: number | bigint])[];
  /** Counts of an array's dimensions, -1 for an unknown first one. */
  readonly counts: readonly number[];
  /** Types of parameters; -1 for `...`. */
  readonly parameters: readonly number[];
  /** What has been worked out from it: see TypeText and GoNames. */
  json: string | null | undefined;
  text: string | undefined;
  goName: string | undefined;
}

const opPlusUconst = 0x23;
/** Nodes that are kept at once, with their children. */
const keptWeight = 1 << 16;
/** The kernel's largest enumeration has 4,000. */
const maxChildren = 1 << 17;
const none: readonly never[] = [];

type Writable<T> = { -readonly [key in keyof T]: T[key] };

/** Decodes the entries of types, each once for as long as its neighbours are wanted. Throws BadInput. */
export class TypeNodes {
  readonly #sections: DebugSections;
  readonly #units: Units;
  readonly #entry: Entry;
  readonly #likeDwarf2json: boolean;
  readonly #nodes = new Map<number, TypeNode>();
  #weight = 0;
  /** Children that may still be read: hostile files nest structs so that each holds all the following. */
  #childrenLeft: number;

  constructor(sections: DebugSections, units: Units, likeDwarf2json: boolean) {
    this.#sections = sections;
    this.#units = units;
    this.#likeDwarf2json = likeDwarf2json;
    this.#entry = new Entry(sections);
    this.#childrenLeft = 16 * (sections.info.sizeBytes + sections.types.sizeBytes) + (1 << 16);
  }

  at(offset: number): TypeNode {
    let node = this.#nodes.get(offset);
    if (node) return node;
    // nodes that are in use stay alive without this map, only what was worked out is then worked out again
    if (this.#weight >= keptWeight) {
      this.#nodes.clear();
      this.#weight = 0;
    }
    const unit = this.#units.at(offset);
    node = this.#decode(unit, offset - unit.start);
    this.#nodes.set(offset, node);
    this.#weight += 8;
    return node;
  }

  /** Tells how much was worked out and is kept with a node, in units of about eight bytes. */
  weigh(weight: number): void {
    this.#weight += weight;
  }

  #decode(unit: Unit, at: number): TypeNode {
    const entry = this.#entry;
    if (!entry.read(unit, at)) throw new BadInput(place(unit, at), 'a reference leads to a null entry');
    // an entry that only stands for the type of a type unit (DWARF 5, section 5.7.1)
    const definition = entry.refersBySignature(slot.signature) ? entry.reference(slot.signature) : 0;
    if (definition !== 0) return this.#definition(definition);
    const node: TypeNode = {
      offset: unit.start + at,
      tag: entry.tag,
      name: this.#name(entry),
      byteSize: entry.constant(slot.byteSize),
      addressBytes: unit.format.addressBytes,
      declared: entry.has(slot.declaration),
      encoding: entry.constant(slot.encoding),
      type: entry.reference(slot.type),
      members: none,
      enumerators: none,
      counts: none,
      parameters: none,
      json: undefined,
      text: undefined,
      goName: undefined,
    };
    if (entry.hasChildren) this.#make(node, unit, entry);
    return node;
  }

  #definition(offset: number): TypeNode {
    const unit = this.#units.at(offset);
    const at = offset - unit.start;
    if (!this.#entry.read(unit, at) || this.#entry.refersBySignature(slot.signature)) {
      throw new BadInput(place(unit, at), 'a type unit has no type of its own');
    }
    return this.at(offset);
  }

  #make(node: Writable<TypeNode>, unit: Unit, entry: Entry): void {
    switch (node.tag) {
      case tag.structureType:
      case tag.unionType:
      case tag.classType: {
        const members: Member[] = [];
        node.members = members;
        this.#children(unit, tag.member, () => members.push(this.#member(unit, entry)));
        return;
      }
      case tag.enumerationType: {
        const enumerators: [string, number | bigint][] = [];
        node.enumerators = enumerators;
        this.#children(unit, tag.enumerator, () =>
          enumerators.push([this.#name(entry), entry.exactConstant(slot.constValue) ?? 0]),
        );
        return;
      }
      case tag.arrayType: {
        const counts: number[] = [];
        node.counts = counts;
        this.#children(unit, tag.subrangeType, () => counts.push(countOf(entry, counts.length === 0)));
        return;
      }
      case tag.subroutineType: {
        const parameters: number[] = [];
        node.parameters = parameters;
        this.#children(unit, tag.formalParameter, () => parameters.push(entry.reference(slot.type)), parameters);
      }
    }
  }

  /**
   * Calls back for each direct child of the kind; what is nested deeper is not the type's own. dwarf2json leaves out
   * those with children themselves, as clang gives them to whatever carries a btf_decl_tag (DW_TAG_LLVM_annotation).
   */
  #children(unit: Unit, wanted: number, take: () => void, parameters?: number[]): void {
    const entry = this.#entry;
    let depth = 0;
    let children = 0;
    for (let at = entry.end; ; at = entry.end) {
      if (--this.#childrenLeft < 0)
        throw new BadInput(place(unit, at), 'types nest so much that reading them would not end');
      if (!entry.read(unit, at)) {
        if (depth === 0) return;
        depth -= 1;
        continue;
      }
      const isOwn = depth === 0 && !(entry.hasChildren && this.#likeDwarf2json);
      if (entry.hasChildren) depth += 1;
      if (!isOwn) continue;
      if (++children > maxChildren)
        throw new BadInput(place(unit, at), `more than ${maxChildren} members or parameters`);
      this.#weight += 1;
      if (entry.tag === wanted) take();
      else if (parameters && entry.tag === tag.unspecifiedParameters) parameters.push(-1);
    }
  }

  #member(unit: Unit, entry: Entry): Member {
    return {
      name: this.#name(entry),
      type: entry.reference(slot.type),
      byteOffset: entry.constant(slot.memberLocation) ?? this.#locationOf(unit, entry),
      byteSize: entry.constant(slot.byteSize) ?? 0,
      bitSize: entry.constant(slot.bitSize) ?? 0,
      bitOffset: entry.constant(slot.bitOffset) ?? 0,
      dataBitOffset: entry.constant(slot.dataBitOffset) ?? 0,
    };
  }

  /** DWARF 2 and 3 give the offset as an expression, in practice always DW_OP_plus_uconst. */
  #locationOf(unit: Unit, entry: Entry): number {
    const location = entry.block(slot.memberLocation);
    if (!location) return 0;
    if (location[0] !== opPlusUconst)
      throw new BadInput(place(unit, entry.end), "a member's place is not a plain offset", 'unsupported');
    return unsignedLeb(location, 1);
  }

  #name(entry: Entry): string {
    const name = entry.name();
    return name === undefined ? '' : this.#sections.names.text(name);
  }
}

function countOf(entry: Entry, first: boolean): number {
  const count = entry.constant(slot.count);
  if (count !== undefined) return count;
  const upperBound = entry.constant(slot.upperBound);
  if (upperBound !== undefined) return upperBound + 1;
  return first ? -1 : 0;
}
