import { Fault } from '@kcorder/proto/fault.ts';

/** How a cell is compared: `~` is "contains", without regard to the case of A to Z. */
export type Operator = '=' | '!=' | '<' | '<=' | '>' | '>=' | '~' | '!~';

/** What a cell is compared with. A number that was written without quotes is also the text that was written. */
export type Operand =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'number'; readonly number: number; readonly text: string }
  | { readonly kind: 'flag'; readonly flag: boolean; readonly text: string }
  | { readonly kind: 'null' };

/** One condition of a filter. */
export interface Condition {
  /** As it was written; compared without regard to case. */
  readonly column: string;
  readonly operator: Operator;
  readonly operand: Operand;
}

const mostConditions = 16;
const mostCharacters = 4_096;

/** One token: blanks, then a double-quoted name, a single-quoted text, an operator or a word. */
const tokens = /\s*(?:"((?:[^"]|"")*)"|'((?:[^']|'')*)'|(!=|<=|>=|!~|[=<>~])|([^\s"'=<>!~]+))/uy;

type Token =
  | { readonly kind: 'name' | 'text' | 'word'; readonly text: string }
  | { readonly kind: 'operator'; readonly operator: Operator };

/**
 * Reads a filter: conditions joined by AND, each a column, an operator and a value, such as `state = LISTEN AND "Net NS" != 1 AND path ~ '.ssh'`.
 * Empty for no conditions. Throws invalid_argument.
 */
export function parseFilter(filter: string): Condition[] {
  if (filter.length > mostCharacters)
    throw unreadable(`it has ${filter.length} characters, at most ${mostCharacters} are read`);
  const found = tokensOf(filter);
  const conditions: Condition[] = [];
  while (found.length > 0) {
    if (conditions.length > 0) {
      const and = found.shift();
      if (and?.kind !== 'word' || and.text.toUpperCase() !== 'AND')
        throw unreadable(`AND is expected after condition ${conditions.length}`);
    }
    conditions.push(takeCondition(found, conditions.length + 1));
    if (conditions.length > mostConditions) throw unreadable(`it has more than ${mostConditions} conditions`);
  }
  return conditions;
}

function takeCondition(found: Token[], number: number): Condition {
  const [column, operator, value] = found.splice(0, 3);
  if (column === undefined || column.kind === 'operator' || column.kind === 'text')
    throw unreadable(`condition ${number} begins with no column`);
  if (operator?.kind !== 'operator')
    throw unreadable(`an operator (= != < <= > >= ~ !~) is expected after "${column.text}"`);
  if (value === undefined || value.kind === 'operator' || value.kind === 'name')
    throw unreadable(`a value is expected after "${column.text} ${operator.operator}": quote it as in 'it''s'`);
  return { column: column.text, operator: operator.operator, operand: operandOf(value) };
}

function operandOf({ kind, text }: Exclude<Token, { kind: 'operator' }>): Operand {
  if (kind !== 'word') return { kind: 'text', text };
  const word = text.toLowerCase();
  if (word === 'null') return { kind: 'null' };
  if (word === 'true' || word === 'false') return { kind: 'flag', flag: word === 'true', text };
  if (/^[+-]?\d+(\.\d+)?$/.test(text) && Number.isFinite(Number(text)))
    return { kind: 'number', number: Number(text), text };
  return { kind: 'text', text };
}

function tokensOf(filter: string): Token[] {
  const found: Token[] = [];
  const text = filter.trimEnd();
  for (let at = 0; at < text.length; ) {
    tokens.lastIndex = at;
    const match = tokens.exec(text);
    if (match === null) throw unreadable(`nothing can be read from "${text.slice(at, at + 40)}" on`);
    at = tokens.lastIndex;
    const [, name, quoted, operator, word] = match;
    if (name !== undefined) found.push({ kind: 'name', text: name.replaceAll('""', '"') });
    else if (quoted !== undefined) found.push({ kind: 'text', text: quoted.replaceAll("''", "'") });
    else if (operator !== undefined) found.push({ kind: 'operator', operator: operator as Operator });
    else found.push({ kind: 'word', text: word ?? '' });
  }
  return found;
}

const unreadable = (why: string): Fault =>
  new Fault(
    'invalid_argument',
    `the filter cannot be read: ${why}. Write conditions such as pid = 1 AND comm ~ 'sshd', joined by AND`,
  );

/** The order of rows: by one column, those that are equal in the order of the plugin. */
export interface RowOrder {
  readonly column: string;
  readonly descending: boolean;
}

/** Reads an order: a column, quoted if need be, then perhaps `asc` or `desc`. Undefined for an empty text. Throws invalid_argument. */
export function parseOrder(order: string): RowOrder | undefined {
  if (order.trim() === '') return undefined;
  const [, quotedName, plainName, direction = 'asc'] =
    /^\s*(?:"((?:[^"]|"")+)"|([^"\s]|[^"\s].*?\S))(?:\s+(asc|desc))?\s*$/iu.exec(order.slice(0, 512)) ?? [];
  const column = quotedName?.replaceAll('""', '"') ?? plainName;
  if (column === undefined)
    throw new Fault('invalid_argument', 'order_by cannot be read: give a column, then asc or desc if need be');
  return { column, descending: direction.toLowerCase() === 'desc' };
}
