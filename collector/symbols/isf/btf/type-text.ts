import { createHash } from 'node:crypto';
import { BadInput } from '../bad-input.ts';
import type { Btf } from './btf.ts';
import { kind } from './kinds.ts';

export const voidText = '{"kind":"base","name":"void"}';

/** Longest way from a reference to what it names; a kernel's has about ten steps. */
const maxSteps = 64;
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
  readonly #references: (string | undefined)[] = [];
  readonly #unnamed = new Map<number, string>();
  #chars = 0;
  #members = 0;

  constructor(btf: Btf) {
    this.#btf = btf;
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
          return userText(targetKind === kind.union, btf.name(id));
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

  /** Name of a struct, union or enumeration; one that has none gets one of its content, the same in every build of it. */
  nameOf(id: number, steps = 0): string {
    const name = this.#btf.name(id);
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
      const { offsetBits, bits } = this.#bitsOf(id, btf.word(id, at + 8), type);
      const reference = this.reference(type, steps);
      const given = btf.text(btf.word(id, at), id);
      const name = given === '' ? `unnamed_field_${(unnamed++).toString(16)}` : given;
      const whole = `{"kind":"bitfield","bit_length":${bits},"bit_position":${offsetBits % 8},"type":${reference}}`;
      const rest = given === '' ? ',"anonymous":true' : '';
      fields.set(name, `{"type":${bits === 0 ? reference : whole},"offset":${Math.floor(offsetBits / 8)}${rest}}`);
    }
    const text = [...fields].map(([name, field]) => `${JSON.stringify(name)}:${field}`).join();
    this.#spend(text.length, id);
    return text;
  }

  /** Place of a member from its struct's start, and its width if it is a bit field (0: it is none). */
  #bitsOf(id: number, offset: number, type: number): { readonly offsetBits: number; readonly bits: number } {
    if (this.#btf.flag(id)) return { offsetBits: offset & 0xff_ffff, bits: offset >>> 24 };
    // Without the flag a bit field is an integer that is narrower than its size.
    const target = this.#resolved(type);
    if (this.#btf.kind(target) !== kind.int) return { offsetBits: offset, bits: 0 };
    const encoding = this.#btf.word(target, 12);
    const [bits, shift] = [encoding & 0xff, (encoding >>> 16) & 0xff];
    const narrow = shift !== 0 || bits !== this.#btf.sizeOrType(target) * 8;
    return narrow ? { offsetBits: offset + shift, bits } : { offsetBits: offset, bits: 0 };
  }

  #resolved(id: number): number {
    let target = id;
    for (let steps = 0; steps < maxSteps; steps += 1) {
      const found = this.#btf.kind(target);
      const passes =
        found === kind.typedef || found === kind.const || found === kind.volatile || found === kind.restrict;
      if (!passes && found !== kind.typeTag) return target;
      target = this.#btf.sizeOrType(target);
    }
    throw new BadInput(this.#btf.place(id), `more than ${maxSteps} types refer to each other in a chain or a circle`);
  }

  /** `"name":value` of each constant of an enumeration. */
  constants(id: number): readonly string[] {
    const btf = this.#btf;
    const wide = btf.kind(id) === kind.enum64;
    const signed = btf.flag(id);
    const count = btf.itemCount(id);
    this.#count(count, id);
    const constants = new Map<string, string>();
    for (let index = 0; index < count; index += 1) {
      const at = 12 + index * (wide ? 12 : 8);
      const low = btf.word(id, at + 4);
      const value = wide
        ? BigInt.asIntN(64, (BigInt(btf.word(id, at + 8)) << 32n) | BigInt(low)).toString()
        : String(signed ? low | 0 : low);
      constants.set(btf.text(btf.word(id, at), id), value);
    }
    const texts = [...constants].map(([name, value]) => `${JSON.stringify(name)}:${value}`);
    this.#spend(
      texts.reduce((sum, text) => sum + text.length, 0),
      id,
    );
    return texts;
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
