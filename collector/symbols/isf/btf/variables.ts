import type { Btf } from './btf.ts';
import { kind } from './kinds.ts';
import type { TypeText } from './type-text.ts';

/** References to the types of the variables that BTF tells of by name: those for each CPU (pahole leaves out others). */
export function readVariables(btf: Btf, types: TypeText): Map<string, string> {
  const variables = new Map<string, string>();
  for (let id = 1; id < btf.count; id += 1) {
    if (btf.kind(id) === kind.variable) variables.set(btf.name(id), types.reference(btf.sizeOrType(id)));
  }
  return variables;
}
