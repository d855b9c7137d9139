import type { Btf } from './btf.ts';
import { kind } from './kinds.ts';
import type { TypeText } from './type-text.ts';

const perCpuSection = '.data..percpu';

/**
 * References to the types of the variables that there are for each CPU: those alone have an entry in BTF, with their offset in their section. One counts
 * where the symbol of its name stands at that offset, as a static variable elsewhere may have the name too. The section starts at 0 until 6.14, and
 * then somewhere in the image.
 */
export function readPerCpuVariables(
  btf: Btf,
  types: TypeText,
  addresses: ReadonlyMap<string, bigint>,
): Map<string, string> {
  const start = addresses.get('__per_cpu_start') ?? 0n;
  const variables = new Map<string, string>();
  for (let id = 1; id < btf.count; id += 1) {
    if (btf.kind(id) !== kind.dataSection || btf.name(id) !== perCpuSection) continue;
    for (let item = 0; item < btf.itemCount(id); item += 1) {
      const at = 12 + item * 12;
      const variable = btf.word(id, at);
      if (btf.kind(variable) !== kind.variable) continue;
      const name = btf.name(variable);
      const isIt = addresses.get(name) === start + BigInt(btf.word(id, at + 4));
      if (isIt) variables.set(name, types.reference(btf.sizeOrType(variable)));
    }
  }
  return variables;
}
