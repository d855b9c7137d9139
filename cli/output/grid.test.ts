import { stripVTControlCharacters } from 'node:util';
import { expect, test } from 'vitest';
import { type Look, tableOf } from './grid.ts';
import { paintFor } from './paint.ts';

const columns = [{ title: 'PID', align: 'right' as const }, { title: 'NAME' }, { title: 'COMMAND' }];
const look: Look = { paint: paintFor(false), width: undefined, wide: false };

test('columns are as wide as their widest cell, and lines have no trailing spaces', () => {
  const rows = [
    ['1', 'init', '/sbin/init'],
    ['4711', '漢字', ''],
  ];
  expect(tableOf(columns, rows, look)).toBe(
    [' PID  NAME  COMMAND', '   1  init  /sbin/init', '4711  漢字', ''].join('\n'),
  );
});

test('the last column alone is cut, and only where there is a width', () => {
  const rows = [['1', 'init', 'a command that is longer than the line']];
  expect(tableOf(columns, rows, { ...look, width: 30 })).toContain('  1  init  a command that is …\n');
  expect(tableOf(columns, rows, look)).toContain('longer than the line\n');
  expect(tableOf(columns, rows, { ...look, width: 30, wide: true })).toContain('longer than the line\n');
});

test('on a very narrow terminal the last column keeps 16 columns', () => {
  expect(tableOf(columns, [['1', 'init', '0123456789abcdefgh']], { ...look, width: 10 })).toContain(
    '0123456789abcde…\n',
  );
});

test('a hostile cell stays in its cell', () => {
  const table = tableOf(columns, [['1', 'a\x1b[2J\n2', 'x']], look);
  expect(table).toBe(['PID  NAME         COMMAND', '  1  a\\x1b[2J\\n2  x', ''].join('\n'));
});

test('a cell of any length is whole, and makes no other line as long', () => {
  const long = 'x'.repeat(10_000);
  const table = tableOf(
    columns,
    [
      ['1', long, 'a'],
      ['2', 'init', 'b'],
    ],
    look,
  );
  const [header = '', first, second = ''] = table.split('\n');
  expect(first).toBe(`  1  ${long}  a`);
  expect(second).toMatch(/^ {2}2 {2}init +b$/);
  expect(Math.max(header.length, second.length)).toBeLessThan(300);
});

test('of a last cell of any length no more is looked at than is shown', () => {
  const command = `a${'\u0301'.repeat(60_000)}`;
  const rows = Array.from({ length: 400 }, () => ['1', 'init', command]);
  const [, first] = tableOf(columns, rows, { ...look, width: 40 }).split('\n');
  expect(first).toMatch(/^ {2}1 {2}init {2}a.*…$/u);
  const letters = '\u{1d400}\u{1d165}\u{1d165}'.repeat(200);
  const [, whole] = tableOf(columns, [['1', 'init', letters]], { ...look, width: 40 }).split('\n');
  expect([...(whole ?? '').replace(/\p{M}/gu, '')]).toHaveLength(40);
});

test('tones colour what is shown without moving it', () => {
  const rows = [['1', { text: 'bad', tone: 'bad' as const }, 'x']];
  const table = tableOf(columns, rows, { ...look, paint: paintFor(true) });
  expect(table).toContain('\x1b[31mbad ');
  expect(stripVTControlCharacters(table)).toBe(tableOf(columns, rows, look));
});
