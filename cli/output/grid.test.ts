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

test('tones colour what is shown without moving it', () => {
  const rows = [['1', { text: 'bad', tone: 'bad' as const }, 'x']];
  const table = tableOf(columns, rows, { ...look, paint: paintFor(true) });
  expect(table).toContain('\x1b[31mbad ');
  expect(stripVTControlCharacters(table)).toBe(tableOf(columns, rows, look));
});
