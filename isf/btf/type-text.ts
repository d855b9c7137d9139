import { createHash } from 'node:crypto';
import { BadInput } from '../bad-input.ts';
import { bitsOf, maxSteps } from './bit-fields.ts';
import type { Btf } from './btf.ts';
import { hasFlaggedEnums, readConstants } from './constants.ts';
import { kind } from './kinds.ts';
import type { TypeNames } from './type-names.ts';

export const voidText = '{"kind":"base","name":"void"}';

/** Characters of all references and members together: some 40 MiB for a kernel. */
const maxChars = 128 << 20;
/** Members of all structs, unions and enumerations together, one of two names counted twice; a kernel has some 200,000. */
const maxMembers = 1 << 23;

/**
 * Types as an ISF refers to them and defines them. As in dwarf2json, qualifiers are left out, typedefs are followed, and a typedef directly of a struct or union stands
 * for it under its own name.
 */
export class TypeText {
  readonly #btf: Btf;
  readonly #names: TypeNames;
  readonly #flagged: boolean;
  readonly #references: (string | undefined)[] = [];
  readonly #unnamed = new Map<number, string>();
  #chars = 0;
  #members = 0;

  constructor(btf: Btf, names: TypeNames) {
    this.#btf = btf;
    this.#names = names;
    this.#flagged = hasFlaggedEnums(btf);
  }

  /** JSON text of a reference. Throws BadInput. */
  reference(id: number, steps = 0): string {
    const known = this.#references[id];
    if (known !== undefined) return known;
    if (steps > maxSteps)
      throw new BadInput(this.#btf.place(id), `more than ${maxSteps} types refer to each other in a chain or a circle`);
    const text = this.#reference(id, steps + 1);
    this.#spend(text.length, id);
    this.#references[id] = text;
    return text;
  }

  #reference(id: number, steps: number): string {
    const btf = this.#btf;
    switch (btf.kind(id)) {
      case kind.void:
        return voidText;
      case kind.int:
      case kind.float:
        return `{"kind":"base","name":${JSON.stringify(btf.name(id))}}`;
      case kind.pointer:
        return `{"kind":"pointer","subtype":${this.reference(btf.sizeOrType(id), steps)}}`;
      case kind.array:
        return `{"count":${btf.word(id, 20)},"kind":"array","subtype":${this.reference(btf.word(id, 12), steps)}}`;
      case kind.struct:
      case kind.union:
        return userText(btf.kind(id) === kind.union, this.nameOf(id, steps));
      case kind.enum:
      case kind.enum64:
        return `{"kind":"enum","name":${JSON.stringify(this.nameOf(id, steps))}}`;
      case kind.forward:
        return userText(btf.flag(id), btf.name(id));
      case kind.typedef: {
        const target = btf.sizeOrType(id);
        const targetKind = btf.kind(target);
        if (targetKind === kind.struct || targetKind === kind.union)
          return userText(targetKind === kind.union, this.nameOf(id));
        if (targetKind === kind.forward) return userText(btf.flag(target), btf.name(id));
        return this.reference(target, steps);
      }
      case kind.volatile:
      case kind.const:
      case kind.restrict:
      case kind.typeTag:
        return this.reference(btf.sizeOrType(id), steps);
      case kind.function:
      case kind.functionProto:
        return '{"kind":"function"}';
      default:
        throw new BadInput(btf.place(id), `a type of kind ${btf.kind(id)} cannot be referred to`);
    }
  }

  /** Name of a struct, union, enumeration or typedef; one that has none gets one of its content, the same in every build of it. */
  nameOf(id: number, steps = 0): string {
    const name = this.#names.of(id);
    this.#spend(name.length, id);
    if (name !== '') return name;
    const known = this.#unnamed.get(id);
    if (known !== undefined) return known;
    const isEnum = this.#btf.kind(id) === kind.enum || this.#btf.kind(id) === kind.enum64;
    const content = isEnum ? this.constants(id).join() : this.#fields(id, steps);
    const made = `unnamed_${createHash('sha1')
      .update(`${this.#btf.kind(id)} ${this.#btf.sizeOrType(id)} ${content}`)
      .digest('hex')
      .slice(0, 16)}`;
    this.#unnamed.set(id, made);
    return made;
  }

  /** Whether a struct or union is the one or the other. */
  kindOf(id: number): 'struct' | 'union' {
    return this.#btf.kind(id) === kind.union ? 'union' : 'struct';
  }

  /** JSON text of the definition of a struct or union. */
  user(id: number): string {
    return `{"size":${this.#btf.sizeOrType(id)},"fields":{${this.#fields(id, 0)}},"kind":"${this.kindOf(id)}"}`;
  }

  #fields(id: number, steps: number): string {
    const btf = this.#btf;
    const count = btf.itemCount(id);
    this.#count(count, id);
    const fields = new Map<string, string>();
    let unnamed = 0;
    for (let index = 0; index < count; index += 1) {
      const at = 12 + index * 12;
      const type = btf.word(id, at + 4);
      const { offsetBits, bits } = bitsOf(btf, id, btf.word(id, at + 8), type);
      const reference = this.reference(type, steps);
      const given = btf.text(btf.word(id, at), id);
      const name = JSON.stringify(given === '' ? `unnamed_field_${(unnamed++).toString(16)}` : given);
      const whole = `{"kind":"bitfield","bit_length":${bits},"bit_position":${offsetBits % 8},"type":${reference}}`;
      const rest = given === '' ? ',"anonymous":true' : '';
      const field = `{"type":${bits === 0 ? reference : whole},"offset":${Math.floor(offsetBits / 8)}${rest}}`;
      this.#spend(name.length + field.length, id);
      fields.set(name, field);
    }
    return [...fields].map(([name, field]) => `${name}:${field}`).join();
  }

  /** `"name":value` of each constant of an enumeration. */
  constants(id: number): readonly string[] {
    this.#count(this.#btf.itemCount(id), id);
    const constants = new Map<string, string>();
    for (const [given, value] of readConstants(this.#btf, id, this.#flagged)) {
      const name = JSON.stringify(given);
      this.#spend(name.length + value.length, id);
      constants.set(name, value);
    }
    return [...constants].map(([name, value]) => `${name}:${value}`);
  }

  #count(members: number, id: number): void {
    this.#members += members;
    if (this.#members > maxMembers) throw new BadInput(this.#btf.place(id), `more than ${maxMembers} members in all`);
  }

  #spend(chars: number, id: number): void {
    this.#chars += chars;
    if (this.#chars > maxChars) throw new BadInput(this.#btf.place(id), 'the types grow to more than 128 MiB of text');
  }
}

function userText(union: boolean, name: string): string {
  return `{"kind":"${union ? 'union' : 'struct'}","name":${JSON.stringify(name)}}`;
}
