import { BadInput } from '../bad-input.ts';
import { tag } from './codes.ts';
import type { TypeNode, TypeNodes } from './type-node.ts';

const maxDepth = 64;

/** Whether a tag is that of a struct, union or class. */
export function isUser(code: number): boolean {
  return code === tag.structureType || code === tag.unionType || code === tag.classType;
}

/** Sizes of types in bytes by the rules of Go's debug/dwarf, on which the content of an ISF hangs. Throws BadInput. */
export class TypeSizes {
  readonly #nodes: TypeNodes;

  constructor(nodes: TypeNodes) {
    this.#nodes = nodes;
  }

  /** -1 where it is not known. */
  of(type: number, depth = 0): number {
    if (type === 0) return 0;
    const node = this.#nodes.at(type);
    if (depth > maxDepth) {
      throw new BadInput(`.debug_info at 0x${node.offset.toString(16)}`, `types nest more than ${maxDepth} deep`);
    }
    switch (node.tag) {
      case tag.arrayType:
        return this.#array(node, node.counts, depth);
      case tag.typedef:
      case tag.constType:
      case tag.volatileType:
      case tag.restrictType:
        return this.of(node.type, depth + 1);
      case tag.pointerType:
        return node.byteSize ?? node.addressBytes;
      default:
        return node.byteSize ?? -1;
    }
  }

  /**
   * Indexes of the members that are arrays without elements: gcc writes them out with one element, and that they have none shows in
   * that the next member lies at the same place, or that the struct ends there. Go compares the byte offsets only, which
   * are 0 for bit fields of DWARF 4 and later; `likeGo` keeps that, so that an array at the start of a struct loses its
   * elements to the bit field behind it.
   */
  emptiedMembers(node: TypeNode, likeGo: boolean): ReadonlySet<number> | undefined {
    if (node.tag === tag.unionType) return undefined;
    let emptied: Set<number> | undefined;
    const check = (index: number) => {
      const member = node.members[index];
      if (!member || !this.#isArrayWithSize(member.type)) return;
      emptied ??= new Set();
      emptied.add(index);
    };
    const byteOffset = (index: number) => {
      const member = node.members[index];
      if (!member) return 0;
      return likeGo || member.dataBitOffset === 0 ? member.byteOffset : Math.floor(member.dataBitOffset / 8);
    };
    for (let index = 1; index < node.members.length; index++) {
      if (node.members[index - 1]?.bitSize === 0 && byteOffset(index - 1) === byteOffset(index)) check(index - 1);
    }
    const last = node.members.length - 1;
    if (last >= 0 && node.byteSize === byteOffset(last)) check(last);
    return emptied;
  }

  #isArrayWithSize(type: number): boolean {
    if (type === 0) return false;
    const node = this.#nodes.at(type);
    return node.tag === tag.arrayType && this.#array(node, node.counts.slice(1), 0) !== 0;
  }

  #array(node: TypeNode, counts: readonly number[], depth: number): number {
    const element = this.of(node.type, depth + 1);
    return counts.reduce((size, count) => (count === -1 ? 0 : size * count), element);
  }
}
