import type { Survey } from './survey.ts';
import type { TypeNodes } from './type-node.ts';
import { isUser } from './type-sizes.ts';

/** An entry that the ISF is made of: of a variable, or of a type. */
export interface Winner {
  readonly offset: number;
  readonly isVariable: boolean;
}

/**
 * Offsets of the entries that the ISF is made of, from the last to the first: whoever takes the first that it sees of each name
 * has the last one, as dwarf2json does. Throws BadInput.
 */
export function* winners(survey: Survey, nodes: TypeNodes, variables: Iterable<number>): Generator<Winner> {
  for (const { name, offset } of survey.distantTypedefs) {
    const { type } = nodes.at(offset);
    if (type === 0) continue;
    const target = nodes.at(type);
    if (isUser(target.tag) && !target.declared) survey.users.raise(0, name, offset);
  }
  const offsets: number[] = [];
  for (const offset of variables) offsets.push(2 * offset + 1);
  for (const seen of [survey.users, survey.unnamedUsers, survey.enums, survey.declaredEnums, survey.unnamedEnums]) {
    for (const { offset } of seen.entries()) offsets.push(2 * offset);
  }
  for (const number of Float64Array.from(offsets).sort().reverse()) {
    yield { offset: Math.floor(number / 2), isVariable: number % 2 === 1 };
  }
}
