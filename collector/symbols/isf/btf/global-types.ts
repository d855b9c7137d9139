import type { Btf } from './btf.ts';
import { globals, typesFor } from './globals.ts';
import { kind } from './kinds.ts';
import { type TypeText, voidText } from './type-text.ts';

/** The kernel whose variables are asked for. */
export interface KernelVariables {
  readonly release: string;
  readonly addresses: ReadonlyMap<string, bigint>;
  readonly ambiguous: ReadonlySet<string>;
}

/** References to the types of the known global variables, and a sentence for each that stays without a type. */
export function readGlobals(
  btf: Btf,
  types: TypeText,
  known: { readonly users: ReadonlyMap<string, 'struct' | 'union'>; readonly bases: ReadonlySet<string> },
  { release, addresses, ambiguous }: KernelVariables,
): { readonly references: ReadonlyMap<string, string>; readonly remarks: readonly string[] } {
  const references = new Map<string, string>();
  const remarks: string[] = [];
  for (const name of Object.keys(globals)) {
    if (!addresses.has(name)) continue;
    const texts = typesFor(name, release);
    const found = texts.map((text) => parse(text)).find((reference) => reference !== undefined);
    if (ambiguous.has(name)) remarks.push(`${name} has no type: several static symbols have that name`);
    else if (found !== undefined) references.set(name, found);
    else if (texts.length === 0) remarks.push(`${name} has no type: it depends on the version, and ${release} is none`);
    else remarks.push(`${name} has no type: the kernel's BTF knows none of ${texts.join(', ')}`);
  }
  return { references, remarks };

  function parse(text: string): string | undefined {
    if (text.startsWith('*')) return around(text.slice(1), (subtype) => `{"kind":"pointer","subtype":${subtype}}`);
    const [, count, element] = /^\[(\d+)\](.*)$/.exec(text) ?? [];
    if (element !== undefined) {
      return around(element, (subtype) => `{"count":${count},"kind":"array","subtype":${subtype}}`);
    }
    const [, members] = /^\{(.*)\}$/.exec(text) ?? [];
    if (members !== undefined) return unnamedWith(btf, types, members.split(' '));
    const [, user] = /^struct (.*)$/.exec(text) ?? [];
    if (user !== undefined) {
      const found = known.users.get(user);
      return found === undefined ? undefined : `{"kind":"${found}","name":${JSON.stringify(user)}}`;
    }
    if (text === 'function') return '{"kind":"function"}';
    if (text === 'void') return voidText;
    return known.bases.has(text) ? `{"kind":"base","name":${JSON.stringify(text)}}` : undefined;
  }

  function around(text: string, wrap: (subtype: string) => string): string | undefined {
    const inner = parse(text);
    return inner === undefined ? undefined : wrap(inner);
  }
}

/** The one unnamed struct that has exactly these members; undefined when there is none, or more than one. */
function unnamedWith(btf: Btf, types: TypeText, members: readonly string[]): string | undefined {
  const found = new Set<string>();
  for (let id = 1; id < btf.count; id += 1) {
    if (btf.kind(id) !== kind.struct || btf.itemCount(id) !== members.length || btf.name(id) !== '') continue;
    if (members.every((name, index) => btf.text(btf.word(id, 12 + index * 12), id) === name))
      found.add(types.reference(id));
  }
  const [only] = found;
  return found.size === 1 ? only : undefined;
}
