import type { Btf } from './btf.ts';
import { globals, typesFor } from './globals.ts';
import { kind } from './kinds.ts';
import { type TypeText, voidText } from './type-text.ts';

/** The types of the kernel whose variables are asked for. */
export interface KernelTypes {
  readonly btf: Btf;
  readonly types: TypeText;
  /** Structs and unions by name. */
  readonly users: ReadonlyMap<string, number>;
  readonly bases: ReadonlySet<string>;
}

/** Its version and symbols. */
export interface KernelVariables {
  readonly release: string;
  /** Of all symbols; only that a name is there counts. */
  readonly addresses: ReadonlyMap<string, unknown>;
  readonly ambiguous: ReadonlySet<string>;
}

/** References to the types of the known global variables, and a sentence for each that stays without a type. */
export function readGlobals(
  kernel: KernelTypes,
  { release, addresses, ambiguous }: KernelVariables,
): { readonly references: ReadonlyMap<string, string>; readonly remarks: readonly string[] } {
  const references = new Map<string, string>();
  const remarks: string[] = [];
  for (const name of Object.keys(globals)) {
    if (!addresses.has(name)) continue;
    const texts = typesFor(name, release);
    const found = texts.map((text) => referenceTo(text, kernel)).find((reference) => reference !== undefined);
    if (ambiguous.has(name)) remarks.push(`${name} has no type: several static symbols have that name`);
    else if (found !== undefined) references.set(name, found);
    else remarks.push(`${name} has no type: the kernel's BTF knows none of ${texts.join(', ')}`);
  }
  return { references, remarks };
}

/** Reference to a type as the table of globals writes it; undefined if the kernel does not have it. */
function referenceTo(text: string, kernel: KernelTypes): string | undefined {
  const { types, users, bases } = kernel;
  const around = (inner: string, wrap: (subtype: string) => string | undefined) => {
    const subtype = referenceTo(inner, kernel);
    return subtype === undefined ? undefined : wrap(subtype);
  };
  const [, struct = '', member = '', rest] = /^with (\w+)\.(\w+): (.*)$/.exec(text) ?? [];
  if (rest !== undefined)
    return membersOf(kernel, users.get(struct)).includes(member) ? referenceTo(rest, kernel) : undefined;
  if (text.startsWith('*')) return around(text.slice(1), (subtype) => `{"kind":"pointer","subtype":${subtype}}`);
  const [, size = '', element] = /^\[(\w+|\?)\](.*)$/.exec(text) ?? [];
  if (element !== undefined) {
    return around(element, (subtype) => {
      const count = countOf(size, subtype, kernel);
      return count === undefined ? undefined : `{"count":${count},"kind":"array","subtype":${subtype}}`;
    });
  }
  const [, members] = /^\{(.*)\}$/.exec(text) ?? [];
  if (members !== undefined) return unnamedWith(kernel, members.split(' '));
  const [, user] = /^struct (.*)$/.exec(text) ?? [];
  if (user !== undefined) {
    const id = users.get(user);
    return id === undefined ? undefined : `{"kind":"${types.kindOf(id)}","name":${JSON.stringify(user)}}`;
  }
  if (text === 'function') return '{"kind":"function"}';
  if (text === 'void') return voidText;
  return bases.has(text) ? `{"kind":"base","name":${JSON.stringify(text)}}` : undefined;
}

/** Elements of an array of `element` by what the table says: a number, `?`, or the name of a constant. */
function countOf(size: string, element: string, kernel: KernelTypes): number | undefined {
  if (/^\d+$/.test(size)) return Number(size);
  return only(size === '?' ? lengths(kernel, element) : values(kernel, size));
}

/** Lengths of all arrays of an element, but for those that have none. */
function* lengths({ btf, types }: KernelTypes, element: string): Generator<number> {
  for (let id = 1; id < btf.count; id += 1) {
    if (btf.kind(id) !== kind.array || btf.word(id, 20) === 0) continue;
    if (types.reference(btf.word(id, 12)) === element) yield btf.word(id, 20);
  }
}

/** Values of all enumerations' constants of a name. */
function* values({ btf }: KernelTypes, name: string): Generator<number> {
  for (let id = 1; id < btf.count; id += 1) {
    if (btf.kind(id) !== kind.enum) continue;
    for (let item = 0; item < btf.itemCount(id); item += 1) {
      if (btf.text(btf.word(id, 12 + item * 8), id) === name) yield btf.word(id, 16 + item * 8);
    }
  }
}

/** The one unnamed struct that has exactly these members; undefined when there is none, or more than one. */
function unnamedWith(kernel: KernelTypes, members: readonly string[]): string | undefined {
  const { btf, types } = kernel;
  return only(
    (function* () {
      for (let id = 1; id < btf.count; id += 1) {
        if (btf.kind(id) !== kind.struct || btf.itemCount(id) !== members.length || btf.name(id) !== '') continue;
        if (membersOf(kernel, id).join(' ') === members.join(' ')) yield types.reference(id);
      }
    })(),
  );
}

function membersOf({ btf }: KernelTypes, id: number | undefined): readonly string[] {
  if (id === undefined) return [];
  return Array.from({ length: btf.itemCount(id) }, (_, index) => btf.text(btf.word(id, 12 + index * 12), id));
}

/** The value that all have; undefined if there is none, or if they differ. */
function only<T>(found: Iterable<T>): T | undefined {
  const different = new Set(found);
  const [one] = different;
  return different.size === 1 ? one : undefined;
}
