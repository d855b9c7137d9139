import { expect, test } from 'vitest';
import { cut, padded, widthOf } from './width.ts';

test.each([
  ['plain letters', 'nginx', 5],
  ['wide letters count twice', '漢字', 4],
  ['an emoji counts twice', '🐙x', 3],
  ['a mark sits on its letter', 'é', 1],
  ['nothing', '', 0],
])('%s', (_what, text, columns) => {
  expect(widthOf(text)).toBe(columns);
});

test.each([
  ['what fits stays', 'nginx', 5, 'nginx'],
  ['what does not fit ends in an ellipsis', 'nginx: worker', 6, 'nginx…'],
  ['a wide letter is never halved', '漢字漢', 4, '漢…'],
  ['no room at all', 'abc', 1, '…'],
])('%s when cut', (_what, text, columns, expected) => {
  expect(cut(text, columns)).toBe(expected);
  expect(widthOf(cut(text, columns))).toBeLessThanOrEqual(columns);
});

test('filling up counts columns, not characters', () => {
  expect(padded('漢', 4, 'left')).toBe('漢  ');
  expect(padded('7', 3, 'right')).toBe('  7');
  expect(padded('long', 2, 'left')).toBe('long');
});
