import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseFilter, parseOrder } from './filter.ts';

const text = (value: string) => ({ kind: 'text', text: value });

test.each([
  ['nothing', '  ', []],
  ['a word', 'state = LISTEN', [{ column: 'state', operator: '=', operand: text('LISTEN') }]],
  ['no blanks', "a!='x'", [{ column: 'a', operator: '!=', operand: text('x') }]],
  ['a number', 'pid>=10', [{ column: 'pid', operator: '>=', operand: { kind: 'number', number: 10, text: '10' } }]],
  ['a number as text', "pid = '010'", [{ column: 'pid', operator: '=', operand: text('010') }]],
  ['an address', 'a = 0x1f', [{ column: 'a', operator: '=', operand: text('0x1f') }]],
  ['null', 'path = NULL', [{ column: 'path', operator: '=', operand: { kind: 'null' } }]],
  ['a flag', 'x = true', [{ column: 'x', operator: '=', operand: { kind: 'flag', flag: true, text: 'true' } }]],
  ['quotes', `"Net ""NS" ~ 'it''s'`, [{ column: 'Net "NS', operator: '~', operand: text("it's") }]],
  ['a quoted AND', "a = 'x AND y'", [{ column: 'a', operator: '=', operand: text('x AND y') }]],
  [
    'two conditions',
    'a !~ b and c < d',
    [
      { column: 'a', operator: '!~', operand: text('b') },
      { column: 'c', operator: '<', operand: text('d') },
    ],
  ],
])('reads %s', (_what, filter, conditions) => {
  expect(parseFilter(filter)).toEqual(conditions);
});

test.each([
  ['OR', 'a = 1 OR b = 2', /AND is expected after condition 1/],
  ['no operator', 'a', /an operator .* is expected after "a"/],
  ['no value', 'a =', /a value is expected after "a ="/],
  ['a column as the value', 'a = "b"', /a value is expected/],
  ['a text as the column', "'a' = 1", /condition 1 begins with no column/],
  ['a quote that does not end', "a = 'b", /nothing can be read from/],
  ['AND at the end', 'a = 1 AND', /condition 2 begins with no column/],
  ['more conditions than are read', Array(17).fill('a=1').join(' AND '), /more than 16 conditions/],
  ['a filter that is too long', `a = '${'x'.repeat(4_096)}'`, /4102 characters, at most 4096/],
])('refuses %s', (_what, filter, message) => {
  expect(() => parseFilter(filter)).toThrow(message);
});

test('no text makes it throw anything but that it cannot be read', () => {
  const parts = fc.constantFrom('a', ' AND ', '=', "'", '"', '~', '!', '<', 'null', '1', '\u0000', ';', '--');
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.array(parts).map((each) => each.join('')),
      ),
      (filter) => {
        try {
          parseFilter(filter);
        } catch (error) {
          expect(error).toMatchObject({ code: 'invalid_argument' });
        }
      },
    ),
    { numRuns: 20_000 },
  );
});

test.each([
  ['pid', { column: 'pid', descending: false }],
  ['Net NS desc', { column: 'Net NS', descending: true }],
  ['"desc" ASC', { column: 'desc', descending: false }],
  ['"a ""b" DESC', { column: 'a "b', descending: true }],
  ['', undefined],
])('reads the order %j', (order, expected) => {
  expect(parseOrder(order)).toEqual(expected);
});

test('refuses an order that is none', () => {
  expect(() => parseOrder('""')).toThrow(/order_by cannot be read/);
});
