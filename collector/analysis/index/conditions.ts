import type { SQLInputValue } from 'node:sqlite';
import type { Condition, Operand } from './filter.ts';
import { quoted } from './names.ts';

/** A part of a WHERE clause. Nothing of a request is in the text but as `?`. */
export interface Clause {
  readonly sql: string;
  readonly values: readonly SQLInputValue[];
}

/** What is asked before a cell of this many bytes is searched, for which a search in the usual steps would be away too long. */
export const tickFunction = 'kcorder_tick';
const largeCellBytes = 16 << 10;

/** A condition on a column of a table, which is given by its own name. */
export function clauseOf(column: string, { operator, operand }: Pick<Condition, 'operator' | 'operand'>): Clause {
  const cell = quoted(column);
  switch (operator) {
    case '=':
    case '!=':
      return equality(cell, operator === '=', operand);
    case '~':
    case '!~': {
      const values = [operand.kind === 'null' ? 'null' : operand.text];
      const small = `octet_length(${cell}) < ${largeCellBytes} IS NOT FALSE`;
      const found = `instr(lower(CAST(${cell} AS TEXT)), lower(?)) > 0`;
      const contains = `CASE WHEN ${small} OR ${tickFunction}() THEN ${found} END`;
      return { sql: operator === '~' ? contains : `(${contains}) IS NOT TRUE`, values };
    }
    case '<':
    case '<=':
    case '>':
    case '>=': {
      // Numbers are before all texts to SQLite: what is compared with a number is a number.
      if (operand.kind === 'number') {
        const number = `CASE WHEN typeof(${cell}) <> 'text' OR ${isLargeInteger(cell)} THEN ${sortKey(cell)} END`;
        return { sql: `(${number}) ${operator} ?`, values: [bound(operand)] };
      }
      const values = [operand.kind === 'null' ? 'null' : operand.text];
      return { sql: `(typeof(${cell}) = 'text' AND ${cell} ${operator} ?)`, values };
    }
  }
}

function equality(cell: string, isEqual: boolean, operand: Operand): Clause {
  if (operand.kind === 'null') return { sql: `${cell} IS ${isEqual ? '' : 'NOT '}NULL`, values: [] };
  const values: SQLInputValue[] = [operand.text];
  if (operand.kind === 'number') values.push(bound(operand));
  if (operand.kind === 'flag') values.push(operand.flag ? 1n : 0n);
  const within = `${cell} IN (${values.map(() => '?').join(', ')})`;
  return { sql: isEqual ? within : `(${within}) IS NOT TRUE`, values };
}

/** Integers that JSON would round are texts of their digits, as rows.py writes them: 16 to 20, perhaps with a sign. */
const isLargeInteger = (cell: string): string =>
  `(octet_length(${cell}) BETWEEN 16 AND 21 AND ltrim(substr(${cell}, 1, 1), '-') || substr(${cell}, 2) NOT GLOB '*[^0-9]*')`;

/** Returns the SQL that a cell is ordered by, in which a large integer is a number. */
export const sortKey = (cell: string): string =>
  `(CASE WHEN ${isLargeInteger(cell)} THEN CAST(${cell} AS NUMERIC) ELSE ${cell} END)`;

/** The number as it was written, if SQLite can hold that: JavaScript would round it. */
function bound({ number, text }: Extract<Operand, { kind: 'number' }>): SQLInputValue {
  if (!/^[+-]?\d+$/.test(text)) return number;
  const whole = BigInt(text.replace('+', ''));
  return BigInt.asIntN(64, whole) === whole ? whole : number;
}
