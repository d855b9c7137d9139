import type { Look } from '../output/grid.ts';
import { visible } from '../output/visible.ts';

/** A name and its raw value. */
export type Fact = readonly [name: string, value: string];

const nameColumns = 12;

/** Facts, one a line; those without a value are left out. */
export function factsText(facts: readonly Fact[], look: Look): string {
  return facts
    .filter(([, value]) => value !== '' && value !== '-')
    .map(([name, value]) => `${look.paint('quiet', name.padEnd(nameColumns))} ${visible(value)}\n`)
    .join('');
}
