import type { BaseType } from '../base-type.ts';
import type { Btf } from './btf.ts';
import { kind } from './kinds.ts';

const encoding = { signed: 1, bool: 4 } as const;

/** The kernel's base types, with those that every ISF has; of two with one name the first. */
export function readBaseTypes(btf: Btf): readonly BaseType[] {
  const bases = new Map<string, BaseType>([
    ['void', { name: 'void', sizeBytes: 0, signed: false, kind: 'void' }],
    ['pointer', { name: 'pointer', sizeBytes: 8, signed: false, kind: 'int' }],
  ]);
  for (let id = 1; id < btf.count; id += 1) {
    const found = btf.kind(id);
    if (found !== kind.int && found !== kind.float) continue;
    const name = btf.name(id);
    if (!bases.has(name)) bases.set(name, { name, sizeBytes: btf.sizeOrType(id), ...kindOf(btf, id, name) });
  }
  return [...bases.values()];
}

function kindOf(btf: Btf, id: number, name: string): Pick<BaseType, 'signed' | 'kind'> {
  if (btf.kind(id) === kind.float) return { signed: true, kind: 'float' };
  const flags = (btf.word(id, 12) >>> 24) & 0xf;
  // A boolean counts as signed in every ISF that dwarf2json makes.
  if ((flags & encoding.bool) !== 0) return { signed: true, kind: 'bool' };
  // BTF has a flag for characters that no compiler or pahole sets.
  const isChar = btf.sizeOrType(id) === 1 && /\bchar$/.test(name);
  return { signed: (flags & encoding.signed) !== 0, kind: isChar ? 'char' : 'int' };
}
