import { expect, test } from 'vitest';
import type { OutputForm } from '../session.ts';
import { paintFor } from './paint.ts';
import { openRows } from './rows.ts';

function printed(output: OutputForm, columns: string[], rows: (string | number | boolean | null)[][]): string {
  const texts: string[] = [];
  const out = { write: (text: string) => void texts.push(text), isTty: false, columns: undefined };
  const look = { paint: paintFor(false), width: undefined, wide: output === 'wide' };
  const terminal = { out } as unknown as Parameters<typeof openRows>[0]['terminal'];
  const printer = openRows({ output, look, terminal }, columns);
  for (const row of rows) printer.print(row);
  printer.end();
  return texts.join('');
}

const columns = ['pid', 'text'];
const rows = [
  [1, '=HYPERLINK("x")'],
  [22, 'a,"b"\n\u001b[2J'],
  [333, null],
];

test.each<[OutputForm, string]>([
  ['table', 'PID  TEXT\n1    =HYPERLINK("x")\n22   a,"b"\\n\\x1b[2J\n333  -\n'],
  ['csv', 'pid,text\n1,"\'=HYPERLINK(""x"")"\n22,"a,""b""\\n\\x1b[2J"\n333,\n'],
  [
    'jsonl',
    '{"pid":1,"text":"=HYPERLINK(\\"x\\")"}\n{"pid":22,"text":"a,\\"b\\"\\n\\u001b[2J"}\n{"pid":333,"text":null}\n',
  ],
])('rows as %s, nothing of which a terminal or a spreadsheet obeys', (form, text) => {
  expect(printed(form, columns, rows)).toBe(text);
});

test.each([
  ['-5', "'-5"],
  ['a;=1+1', `"a;'=1+1"`],
  ['a;"=1+1"', `"a;'""=1+1"""`],
  ['a; @x;b;+1', `"a;' @x;b;'+1"`],
  ['\uff1d1+1', "'\uff1d1+1"],
  ['a=b-c', 'a=b-c'],
])('a formula is none, wherever a spreadsheet ends a cell: %s', (text, cell) => {
  expect(printed('csv', ['x'], [[text]])).toBe(`x\n${cell}\n`);
});

test('rows as json are one document, of none too', () => {
  expect(JSON.parse(printed('json', columns, rows))).toEqual(rows.map(([pid, text]) => ({ pid, text })));
  expect(JSON.parse(printed('json', columns, []))).toEqual([]);
});

test('two columns of one name, and one that objects have by themselves', () => {
  const [object] = JSON.parse(printed('json', ['a', 'a', '__proto__'], [[1, 2, 3]])) as object[];
  expect(Object.entries(object ?? {})).toEqual([
    ['a', 1],
    ['a_2', 2],
    ['__proto__', 3],
  ]);
});

test('a table of many rows is measured by the first thousand', () => {
  const many = Array.from({ length: 1_500 }, (_, index) => [index, 'x']);
  const lines = printed('table', columns, many).trimEnd().split('\n');
  expect(lines).toHaveLength(1_501);
  expect(lines[1_500]).toBe('1499  x');
});

test('without a row there is no table', () => {
  expect(printed('table', columns, [])).toBe('');
});
