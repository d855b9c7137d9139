import type { SQLInputValue } from 'node:sqlite';
import type { Condition, Operand } from './filter.ts';
import { quoted } from './names.ts';

/** A part of a WHERE clause. Nothing of a request is in the text but as `?`. */
export interface Clause {
  readonly sql: string;
  readonly values: readonly SQLInputValue[];
}

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
      const contains = `instr(lower(CAST(${cell} AS TEXT)), lower(?)) > 0`;
      return { sql: operator === '~' ? contains : `(${contains}) IS NOT TRUE`, values };
    }
    case '<':
    case '<=':
    case '>':
    case '>=': {
      // Numbers are before all texts to SQLite: what is compared with a number is a number.
      if (operand.kind === 'number')
        return {
          sql: `(typeof(${cell}) IN ('integer', 'real') AND ${cell} ${operator} ?)`,
          values: [bound(operand.number)],
        };
      const values = [operand.kind === 'null' ? 'null' : operand.text];
      return { sql: `(typeof(${cell}) = 'text' AND ${cell} ${operator} ?)`, values };
    }
  }
}

function equality(cell: string, isEqual: boolean, operand: Operand): Clause {
  if (operand.kind === 'null') return { sql: `${cell} IS ${isEqual ? '' : 'NOT '}NULL`, values: [] };
  const values: SQLInputValue[] = [operand.text];
  if (operand.kind === 'number') values.push(bound(operand.number));
  if (operand.kind === 'flag') values.push(operand.flag ? 1n : 0n);
  const within = `${cell} IN (${values.map(() => '?').join(', ')})`;
  return { sql: isEqual ? within : `(${within}) IS NOT TRUE`, values };
}

const bound = (value: number): SQLInputValue => (Number.isSafeInteger(value) ? BigInt(value) : value);
