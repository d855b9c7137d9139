import type { EnumBases } from '../enum-bases.ts';
import type { Btf } from './btf.ts';
import type { TypeText } from './type-text.ts';

/** JSON text of an enumeration. */
export function enumText(btf: Btf, types: TypeText, id: number, bases: EnumBases): string {
  const constants = types.constants(id);
  // Only declared: its size is not known.
  if (constants.length === 0) return '{"size":0,"base":"void","constants":{}}';
  const sizeBytes = btf.sizeOrType(id);
  const signed = constants.some((constant) => /:-\d+$/.test(constant));
  const base = JSON.stringify(bases.of(sizeBytes, signed));
  return `{"size":${sizeBytes},"base":${base},"constants":{${constants.join()}}}`;
}
