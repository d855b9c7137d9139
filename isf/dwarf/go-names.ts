import { createHash } from 'node:crypto';
import { BadInput } from '../bad-input.ts';
import type { Budget } from './budget.ts';
import { tag } from './codes.ts';
import type { TypeNode, TypeNodes } from './type-node.ts';
import { isUser, type TypeSizes } from './type-sizes.ts';

const maxDepth = 64;
const maxTextChars = 1 << 20;

/** Tags of types that Go's debug/dwarf has no type for, by the names that it prints for them. */
const unsupportedTags: Readonly<Record<number, string>> = {
  [tag.referenceType]: 'ReferenceType',
  [tag.atomicType]: 'AtomicType',
  [tag.packedType]: 'PackedType',
  [tag.sharedType]: 'SharedType',
  [tag.immutableType]: 'ImmutableType',
};

/**
 * The names that dwarf2json gives to unnamed types: `unnamed_` and the first eight bytes of the SHA-1 of the definition as Go's
 * debug/dwarf writes it (StructType.Defn, EnumType.String). They must be the same for equal types in all units, and being
 * those of dwarf2json they stay the same whoever built an ISF.
 */
export class GoNames {
  readonly #nodes: TypeNodes;
  readonly #sizes: TypeSizes;
  readonly #budget: Budget;

  constructor(nodes: TypeNodes, sizes: TypeSizes, budget: Budget) {
    this.#nodes = nodes;
    this.#sizes = sizes;
    this.#budget = budget;
  }

  /** The name of a struct, union, class or enumeration. Throws BadInput. */
  of(node: TypeNode): string {
    if (node.name !== '') {
      this.#budget.spend(node.name.length, node.offset);
      return node.name;
    }
    node.goName ??= this.#unnamed(node);
    return node.goName;
  }

  #unnamed(node: TypeNode): string {
    const definition = this.#text(node, 0);
    this.#budget.spend(definition.length, node.offset);
    return `unnamed_${createHash('sha1').update(definition, 'utf8').digest('hex').slice(0, 16)}`;
  }

  #textOf(type: number, depth: number): string {
    return type === 0 ? 'void' : this.#text(this.#nodes.at(type), depth);
  }

  #text(node: TypeNode, depth: number): string {
    if (node.text !== undefined) return node.text;
    if (depth > maxDepth) {
      throw new BadInput(
        `.debug_info at 0x${node.offset.toString(16)}`,
        `unnamed types nest more than ${maxDepth} deep`,
      );
    }
    const text = this.#written(node, depth + 1);
    this.#budget.spend(text.length, node.offset);
    this.#nodes.weigh(text.length >> 3);
    if (text.length > maxTextChars) {
      const problem = `the definition of an unnamed type has more than ${maxTextChars} letters`;
      throw new BadInput(`.debug_info at 0x${node.offset.toString(16)}`, problem);
    }
    node.text = text;
    return text;
  }

  #written(node: TypeNode, depth: number): string {
    switch (node.tag) {
      case tag.pointerType:
        return `*${this.#textOf(node.type, depth)}`;
      case tag.constType:
        return `const ${this.#textOf(node.type, depth)}`;
      case tag.volatileType:
        return `volatile ${this.#textOf(node.type, depth)}`;
      case tag.restrictType:
        return `restrict ${this.#textOf(node.type, depth)}`;
      case tag.typedef:
        return node.name;
      case tag.baseType:
      case tag.unspecifiedType:
        return node.name || '?';
      case tag.arrayType: {
        const counts = node.counts.length > 0 ? node.counts : [-1];
        return `${counts.map((count) => `[${count}]`).join('')}${this.#textOf(node.type, depth)}`;
      }
      case tag.subroutineType: {
        const parameters = node.parameters.map((type) => (type === -1 ? '...' : this.#textOf(type, depth)));
        return `func(${parameters.join(', ')}) ${this.#textOf(node.type, depth)}`;
      }
      case tag.enumerationType: {
        const values = node.enumerators.map(([name, value]) => `${name}=${value}`);
        return `enum${node.name && ` ${node.name}`} {${values.join('; ')}}`;
      }
      default:
        if (isUser(node.tag)) return this.#user(node, depth);
        return node.name || `(unsupported type ${unsupportedTags[node.tag] ?? `Tag(${node.tag})`})`;
    }
  }

  #user(node: TypeNode, depth: number): string {
    const kind = node.tag === tag.unionType ? 'union' : node.tag === tag.classType ? 'class' : 'struct';
    if (node.name !== '') return `${kind} ${node.name}`;
    if (node.declared) return `${kind} /*incomplete*/`;
    const emptied = this.#sizes.emptiedMembers(node, true);
    const members = node.members.map((member, index) => {
      const type = emptied?.has(index) ? this.#emptied(member.type, depth) : this.#textOf(member.type, depth);
      const bits = member.bitSize > 0 ? ` : ${member.bitSize}@${member.bitOffset || member.dataBitOffset}` : '';
      return `${member.name} ${type}@${member.byteOffset}${bits}`;
    });
    return `${kind} {${members.join('; ')}}`;
  }

  /** An array without its first count. */
  #emptied(type: number, depth: number): string {
    const text = this.#textOf(type, depth);
    return `[0]${text.slice(text.indexOf(']') + 1)}`;
  }
}
