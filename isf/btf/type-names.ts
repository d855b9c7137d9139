import { BadInput } from '../bad-input.ts';
import type { Btf } from './btf.ts';
import { kind } from './kinds.ts';

const anotherModules = -1;

/** Names that are given away, with the number of the type that has it, in the two name spaces of an ISF. */
interface Taken {
  readonly users: Map<string, number>;
  readonly enums: Map<string, number>;
}

/**
 * Who has which name. BTF holds different types of one name if files of the kernel differ in them: the first, which pahole met first, has
 * the name, and the others get one with a number (`irq_info___2`, as bpftool prints them) or with their module (`options___ext4`), so that
 * no reference leads to the layout of another. A typedef directly of a struct or union names it too, as in dwarf2json; an ISF has one name space for
 * both, and one for enumerations.
 */
export class TypeNames {
  readonly #btf: Btf;
  readonly #kernel: TypeNames | undefined;
  readonly #taken: Taken;
  readonly #changed = new Map<number, string>();
  readonly #last = new Map<string, number>();
  readonly #module: string | undefined;

  /** Throws BadInput. For the types of a module: its name, and the names that the kernel and the modules before it have. */
  constructor(btf: Btf, before?: { readonly names: TypeNames; readonly module: string }) {
    this.#btf = btf;
    this.#kernel = before === undefined ? undefined : (before.names.#kernel ?? before.names);
    // Types of different modules have the same numbers.
    const others = (taken: ReadonlyMap<string, number> | undefined) =>
      new Map([...(taken ?? [])].map(([name, id]) => [name, id < btf.firstId ? id : anotherModules]));
    const taken = before === undefined ? undefined : before.names.#taken;
    this.#taken = { users: others(taken?.users), enums: others(taken?.enums) };
    this.#module = before?.module;
    for (let id = btf.firstId; id < btf.count; id += 1) this.#take(id);
  }

  /** Name of a struct, union, enumeration or typedef; empty for a type that has none. */
  of(id: number): string {
    if (id < this.#btf.firstId && this.#kernel !== undefined) return this.#kernel.of(id);
    return this.#changed.get(id) ?? this.#btf.name(id);
  }

  #take(id: number): void {
    const btf = this.#btf;
    switch (btf.kind(id)) {
      case kind.struct:
      case kind.union:
        this.#give(this.#taken.users, btf.name(id), id, id);
        break;
      case kind.enum:
      case kind.enum64:
        this.#give(this.#taken.enums, btf.name(id), id, id);
        break;
      case kind.typedef: {
        const target = btf.sizeOrType(id);
        const targetKind = btf.kind(target);
        if (btf.name(id) === '') throw new BadInput(btf.place(id), 'a typedef without a name');
        if (targetKind === kind.struct || targetKind === kind.union)
          this.#give(this.#taken.users, btf.name(id), id, target);
        break;
      }
      default:
        break;
    }
  }

  #give(taken: Map<string, number>, name: string, id: number, target: number): void {
    if (name === '') return;
    let given = name;
    while ((taken.get(given) ?? target) !== target) {
      const number = (this.#last.get(name) ?? 1) + 1;
      this.#last.set(name, number);
      given = `${name}___${this.#distinction(number)}`;
    }
    taken.set(given, target);
    if (given !== name) this.#changed.set(id, given);
  }

  #distinction(number: number): string {
    if (this.#module === undefined) return String(number);
    return number === 2 ? this.#module : `${this.#module}_${number - 1}`;
  }
}
