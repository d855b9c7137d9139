import type { BaseType } from './base-types.ts';
import type { Btf } from './btf.ts';
import type { TypeText } from './type-text.ts';

/** JSON text of an enumeration. Its base is the first integer type of its size and sign by name, as dwarf2json chooses it. */
export function enumText(btf: Btf, types: TypeText, id: number, bases: readonly BaseType[]): string {
  const constants = types.constants(id);
  // Only declared: its size is not known.
  if (constants.length === 0) return '{"size":0,"base":"void","constants":{}}';
  const sizeBytes = btf.sizeOrType(id);
  const signed = constants.some((constant) => /:-\d+$/.test(constant));
  const fitting = bases.filter((base) => base.kind === 'int' && base.sizeBytes === sizeBytes && base.signed === signed);
  const [base = 'void'] = fitting.map(({ name }) => name).sort();
  return `{"size":${sizeBytes},"base":${JSON.stringify(base)},"constants":{${constants.join()}}}`;
}
