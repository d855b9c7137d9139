import { BadInput } from '../bad-input.ts';
import type { Budget } from './budget.ts';
import { tag } from './codes.ts';
import type { GoNames } from './go-names.ts';
import type { Member, TypeNode, TypeNodes } from './type-node.ts';
import { isUser, type TypeSizes } from './type-sizes.ts';

const maxDepth = 64;
export const voidText = '{"kind":"base","name":"void"}';
const functionText = '{"kind":"function"}';

/** Encodings of base types that dwarf2json knows; a type with another one is left out wherever it is used. */
export const encoding = {
  address: 1,
  boolean: 2,
  complexFloat: 3,
  float: 4,
  signed: 5,
  signedChar: 6,
  unsigned: 7,
  unsignedChar: 8,
  utf: 0x10,
} as const;

/** The texts that types have in an ISF (volatility3/schemas/schema-6.2.0.json). Every method throws BadInput. */
export class TypeText {
  readonly #nodes: TypeNodes;
  readonly #sizes: TypeSizes;
  readonly #names: GoNames;
  readonly #likeDwarf2json: boolean;
  readonly #budget: Budget;

  constructor(nodes: TypeNodes, sizes: TypeSizes, names: GoNames, budget: Budget, likeDwarf2json: boolean) {
    this.#nodes = nodes;
    this.#sizes = sizes;
    this.#names = names;
    this.#likeDwarf2json = likeDwarf2json;
    this.#budget = budget;
  }

  /** How a type is referred to; undefined for types that an ISF has no word for. 0 is void. */
  of(type: number, depth = 0): string | undefined {
    if (type === 0) return voidText;
    const node = this.#nodes.at(type);
    if (node.json !== undefined) return node.json ?? undefined;
    if (depth > maxDepth) {
      throw new BadInput(`.debug_info at 0x${node.offset.toString(16)}`, `types nest more than ${maxDepth} deep`);
    }
    const json = this.#written(node, depth + 1);
    this.#budget.spend(json?.length ?? 0, node.offset);
    this.#nodes.weigh((json?.length ?? 0) >> 3);
    node.json = json ?? null;
    return json;
  }

  /** The entry in user_types of a complete struct, union or class. */
  user(node: TypeNode): string {
    const emptied = this.#sizes.emptiedMembers(node, this.#likeDwarf2json);
    const fields = new Map<string, string>();
    let unnamed = 0;
    for (const [index, member] of node.members.entries()) {
      const known = emptied?.has(index) ? this.#array(this.#nodes.at(member.type), true, 1) : this.of(member.type);
      if (known === undefined && this.#likeDwarf2json) continue;
      // a member of a type that an ISF has no word for still has its place
      const type = known ?? voidText;
      const isUnnamed = member.name === '';
      const name = isUnnamed ? `unnamed_field_${(unnamed++).toString(16)}` : member.name;
      const { text, offset } =
        member.bitSize === 0 ? { text: type, offset: member.byteOffset } : this.#bits(member, type);
      fields.set(name, `{"type":${text},"offset":${offset}${isUnnamed ? ',"anonymous":true' : ''}}`);
    }
    const text = Array.from(fields, ([name, field]) => `${JSON.stringify(name)}:${field}`).join(',');
    const size = node.byteSize ?? (this.#likeDwarf2json ? -1 : 0);
    const json = `{"size":${size},"fields":{${text}},"kind":"${kindOf(node)}"}`;
    this.#budget.spend(json.length, node.offset);
    return json;
  }

  #written(node: TypeNode, depth: number): string | undefined {
    switch (node.tag) {
      case tag.arrayType:
        return this.#array(node, false, depth);
      case tag.pointerType:
        return this.#pointer(node, depth);
      case tag.enumerationType:
        return `{"kind":"enum","name":${JSON.stringify(this.#names.of(node))}}`;
      case tag.baseType:
        return hasWord(node, this.#likeDwarf2json)
          ? `{"kind":"base","name":${JSON.stringify(baseName(node))}}`
          : undefined;
      case tag.typedef:
        return this.#typedef(node, depth);
      case tag.constType:
      case tag.volatileType:
      case tag.restrictType:
        return this.of(node.type, depth);
      case tag.unspecifiedType:
        return voidText;
      case tag.subroutineType:
        return functionText;
      default:
        if (isUser(node.tag)) return `{"kind":"${kindOf(node)}","name":${JSON.stringify(this.#names.of(node))}}`;
        return this.#likeDwarf2json ? undefined : this.#newer(node, depth);
    }
  }

  /** What Go's debug/dwarf does not know, so that dwarf2json leaves out the fields of these types. */
  #newer(node: TypeNode, depth: number): string | undefined {
    switch (node.tag) {
      case tag.atomicType:
      case tag.immutableType:
      case tag.packedType:
      case tag.sharedType:
        return this.of(node.type, depth);
      case tag.referenceType:
      case tag.rvalueReferenceType:
        return this.#pointer(node, depth);
      default:
        return undefined;
    }
  }

  #pointer(node: TypeNode, depth: number): string {
    return `{"kind":"pointer","subtype":${this.of(node.type, depth) ?? this.#noWord()}}`;
  }

  #array(node: TypeNode, emptied: boolean, depth: number): string {
    let text = this.of(node.type, depth) ?? this.#noWord();
    const counts = node.counts.length > 0 ? node.counts : [0];
    for (let index = counts.length - 1; index >= 0; index--) {
      const count = emptied && index === 0 ? 0 : Math.max(0, counts[index] as number);
      text = `{"kind":"array","count":${count},"subtype":${text}}`;
    }
    return text;
  }

  /** A typedef directly of a struct is a struct of its own; all others vanish. */
  #typedef(node: TypeNode, depth: number): string | undefined {
    const target = node.type === 0 ? undefined : this.#nodes.at(node.type);
    if (!target || !isUser(target.tag)) return this.of(node.type, depth);
    if (target.declared && !this.#likeDwarf2json) return this.of(node.type, depth);
    return `{"kind":"${kindOf(target)}","name":${JSON.stringify(node.name)}}`;
  }

  /** DWARF 2 and 3 count a bit field's bits from the most significant one of its storage unit, DWARF 4 and 5 from the struct's start. */
  #bits(member: Member, type: string): { text: string; offset: number } {
    const { bitSize, dataBitOffset } = member;
    let { byteSize } = member;
    if (byteSize === 0 && member.bitOffset > 0 && !this.#likeDwarf2json)
      byteSize = Math.max(0, this.#sizes.of(member.type));
    let offset = Math.trunc(dataBitOffset / 8);
    let position = dataBitOffset % 8;
    if (byteSize > 0 && dataBitOffset === 0) {
      const fromLeast = 8 * byteSize - (member.bitOffset + bitSize);
      offset = member.byteOffset + Math.trunc(fromLeast / 8);
      position = fromLeast % 8;
    }
    return { text: `{"kind":"bitfield","bit_length":${bitSize},"bit_position":${position},"type":${type}}`, offset };
  }

  #noWord(): string {
    return this.#likeDwarf2json ? 'null' : voidText;
  }
}

function kindOf(node: TypeNode): 'struct' | 'union' | 'class' {
  return node.tag === tag.unionType ? 'union' : node.tag === tag.classType ? 'class' : 'struct';
}

/** clang calls every complex type "complex": Go's debug/dwarf tells them apart by their sizes. */
export function baseName(node: TypeNode): string {
  if (node.encoding === encoding.complexFloat && node.name === 'complex') {
    if (node.byteSize === 8) return 'complex float';
    if (node.byteSize === 16) return 'complex double';
  }
  return node.name;
}

function hasWord(node: TypeNode, likeDwarf2json: boolean): boolean {
  const code = node.encoding ?? 0;
  if (code === encoding.utf) return !likeDwarf2json;
  return code >= encoding.boolean && code <= encoding.unsignedChar;
}
