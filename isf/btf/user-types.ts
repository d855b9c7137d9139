import type { Btf } from './btf.ts';
import { kind } from './kinds.ts';
import type { TypeText } from './type-text.ts';

/** Structs, unions and enumerations by the names that an ISF has for them. */
export interface UserTypes {
  readonly users: ReadonlyMap<string, number>;
  readonly enums: ReadonlyMap<string, number>;
}

/** The types that an ISF defines. A typedef directly of a struct or union is one of its own, as in dwarf2json; of unnamed ones of the same content there is one. */
export function readUserTypes(btf: Btf, types: TypeText): UserTypes {
  const users = new Map<string, number>();
  const enums = new Map<string, number>();
  const add = (to: Map<string, number>, name: string, id: number): void => {
    if (!to.has(name)) to.set(name, id);
  };
  for (let id = btf.firstId; id < btf.count; id += 1) {
    switch (btf.kind(id)) {
      case kind.struct:
      case kind.union:
        add(users, types.nameOf(id), id);
        break;
      case kind.enum:
      case kind.enum64:
        add(enums, types.nameOf(id), id);
        break;
      case kind.typedef: {
        const target = btf.sizeOrType(id);
        const targetKind = btf.kind(target);
        if (targetKind === kind.struct || targetKind === kind.union) add(users, types.nameOf(id), target);
        break;
      }
      default:
        break;
    }
  }
  return { users, enums };
}
