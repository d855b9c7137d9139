import fc from 'fast-check';
import { expect, test } from 'vitest';
import { declaredSize, maybeSame, parseContentRange, readVersion } from './object-version.ts';

const date = 'Tue, 15 Nov 1994 12:45:26 GMT';

test.each<[string | null, object | undefined]>([
  ['bytes 0-63/1000', { offsetBytes: 0, endBytes: 64, totalBytes: 1000 }],
  ['Bytes 5-5/6', { offsetBytes: 5, endBytes: 6, totalBytes: 6 }],
  ['bytes 5-9/*', { offsetBytes: 5, endBytes: 10, totalBytes: undefined }],
  ['bytes 5-9/9', undefined],
  ['bytes 9-5/100', undefined],
  ['bytes */1000', undefined],
  ['bytes 0-63', undefined],
  ['items 0-63/1000', undefined],
  ['bytes 0-99999999999999999999/999999999999999999999', undefined],
  [null, undefined],
])('Content-Range %s', (text, expected) => {
  expect(parseContentRange(text)).toEqual(expected);
});

test('any text as Content-Range is refused or holds together', () => {
  const digits = fc.stringMatching(/^\d{0,17}$/);
  const likely = fc.tuple(digits, digits, digits).map(([from, to, total]) => `bytes ${from}-${to}/${total}`);
  fc.assert(
    fc.property(fc.oneof(likely, fc.string()), (text) => {
      const range = parseContentRange(text);
      if (range === undefined) return;
      expect(range.endBytes).toBeGreaterThan(range.offsetBytes);
      expect(range.totalBytes ?? range.endBytes).toBeGreaterThanOrEqual(range.endBytes);
      expect(Number.isSafeInteger(range.endBytes)).toBe(true);
    }),
    { numRuns: 5000 },
  );
});

test.each<[string, Record<string, string>, string | undefined]>([
  ['a strong ETag', { etag: '"a"', 'last-modified': date, date }, '"a"'],
  ['a weak ETag', { etag: 'W/"a"' }, undefined],
  ['a date a second before the answer', { 'last-modified': date, date: 'Tue, 15 Nov 1994 12:45:27 GMT' }, date],
  ['a date of the same second', { 'last-modified': date, date }, undefined],
  ['a date without the time of the answer', { 'last-modified': date }, undefined],
  ['a date that is none', { 'last-modified': 'yesterday', date }, undefined],
])('what If-Range may carry: %s', (_what, headers, expected) => {
  expect(readVersion(new Headers(headers), 1).ifRange).toBe(expected);
});

test.each<[string, Record<string, string>, number | undefined]>([
  ['Content-Length', { 'content-length': '12' }, 12],
  ['of debuginfod', { 'x-debuginfod-size': '34' }, 34],
  ['nonsense', { 'x-debuginfod-size': '-34' }, undefined],
])('declared size: %s', (_what, headers, expected) => {
  expect(declaredSize(new Headers(headers))).toBe(expected);
});

test.each<[string, Record<string, string>, number | undefined, boolean]>([
  ['the same', { etag: '"a"' }, 10, true],
  ['no ETag this time', {}, 10, true],
  ['another ETag', { etag: '"b"' }, 10, false],
  ['another size', { etag: '"a"' }, 11, false],
  ['no size', { etag: '"a"' }, undefined, true],
])('may be the same object: %s', (_what, headers, sizeBytes, expected) => {
  const known = readVersion(new Headers({ etag: '"a"' }), 10);
  expect(maybeSame(known, readVersion(new Headers(headers), sizeBytes))).toBe(expected);
});
