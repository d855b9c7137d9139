import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fuzzRuns } from '../../tools/fuzz-runs.ts';
import { IsfScan } from './isf-scan.ts';
import { makeIsf } from './testing/symbol-files.ts';

function scan(text: string | Buffer, chunkBytes = 65_536) {
  const bytes = Buffer.from(text);
  const isf = new IsfScan();
  for (let at = 0; at < bytes.length; at += chunkBytes) if (!isf.push(bytes.subarray(at, at + chunkBytes))) break;
  return isf.end();
}

const base64 = (text: string) => Buffer.from(text).toString('base64');
const symbol = (content: object) => JSON.stringify({ user_types: { a: {} }, symbols: { linux_banner: content } });

test.each([1, 2, 3, 7, 64, 65_536])('the banner is found in chunks of %i bytes', (chunkBytes) => {
  const found = scan(makeIsf('Linux version 6.1.0 "quoted" \\'), chunkBytes);
  expect(found).toEqual({ banner: 'Linux version 6.1.0 "quoted" \\', userTypes: 1, symbols: 3 });
});

test.each<[string, string, string | undefined]>([
  ['without white space', symbol({ constant_data: base64('Linux\n\0') }), 'Linux'],
  ['with the constant before its type', symbol({ constant_data: base64('Linux'), type: { name: '}' } }), 'Linux'],
  ['a symbol without a constant', symbol({ address: 1 }), undefined],
  ['a constant that is no text', symbol({ constant_data: 7 }), undefined],
  ['an empty constant', symbol({ constant_data: base64('\n\0') }), undefined],
  [
    'the name in another section',
    JSON.stringify({ enums: { linux_banner: { constant_data: base64('x') } } }),
    undefined,
  ],
  [
    'the name deeper down',
    JSON.stringify({ symbols: { a: { linux_banner: { constant_data: base64('x') } } } }),
    undefined,
  ],
  ['the name inside a text', JSON.stringify({ symbols: { a: '"linux_banner":{"constant_data":"eA=="}' } }), undefined],
  ['no symbols', '{}', undefined],
])('%s', (_what, text, banner) => {
  expect(scan(text)).toMatchObject({ banner });
});

test.each<[string, string | Buffer, string]>([
  ['empty', '', 'cut off'],
  ['cut', makeIsf('Linux').slice(0, -1), 'cut off'],
  ['cut within a text', '{"a":"b', 'cut off'],
  ['no JSON', 'ELF', 'is not a JSON object'],
  ['an array', '[]', 'is not a JSON object'],
  ['a text', '"a"', 'is not a JSON object'],
  ['two objects', '{}{}', 'is not a JSON object'],
  ['an object and more', '{} x', 'goes on after its end'],
  ['closed too often', '{}}', 'closes more'],
  ['a banner without end', `{"symbols":{"linux_banner":{"constant_data":"${'A'.repeat(70_000)}"}}}`, '64 KiB'],
  ['a banner that is no JSON', '{"symbols":{"linux_banner":{"a" "b"}}}', 'is no JSON'],
])('%s: no ISF', (_what, text, problem) => {
  expect(scan(text)).toEqual({ problem: expect.stringContaining(problem) });
});

test('any JSON object gives what a whole parse gives, however it is cut', () => {
  const sections = fc.record(
    {
      symbols: fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 })),
      user_types: fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 })),
      other: fc.jsonValue(),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(
      sections,
      fc.string(),
      fc.integer({ min: 1, max: 50 }),
      fc.boolean(),
      (content, banner, chunkBytes, pretty) => {
        const symbols = { ...content.symbols, linux_banner: { constant_data: base64(banner) } };
        const found = scan(JSON.stringify({ ...content, symbols }, null, pretty ? 2 : undefined), chunkBytes);
        expect(found).toEqual({
          banner: banner.split('\0', 1)[0]?.trimEnd() || undefined,
          symbols: Object.keys(symbols).length,
          userTypes: Object.keys(content.user_types ?? {}).length,
        });
      },
    ),
    { numRuns: fuzzRuns(1_000) },
  );
});

test('bytes of any kind never break it', () => {
  const pieces = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    '"',
    '\\',
    ':',
    ',',
    '"symbols"',
    '"linux_banner"',
    '\n',
    '\xff',
    'a',
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 60 }), fc.integer({ min: 1, max: 9 }), (parts, chunkBytes) => {
      expect(scan(Buffer.from(parts.join(''), 'latin1'), chunkBytes)).toBeDefined();
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});

test('names without number are no ISF: the scan ends long before the text does', () => {
  const isf = new IsfScan();
  const names = Buffer.from(`${'"":0,'.repeat(1 << 16)}`);
  isf.push(Buffer.from('{"symbols":{'));
  let bytes = 0;
  while (isf.push(names) && bytes < 1 << 30) bytes += names.length;
  expect(bytes).toBeLessThan(32 << 20);
  expect(isf.end()).toEqual({ problem: 'has more than 4000000 names' });
});
