import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { expect, test } from 'vitest';
import { ageText, bytesText, momentOf, rateText, spanText, utcText } from './figures.ts';

test.each([
  [0n, '0 B'],
  [1023n, '1023 B'],
  [1024n, '1.0 KiB'],
  [1536n, '1.5 KiB'],
  [346_095_616n, '330.1 MiB'],
  [1_048_575n, '1.0 MiB'],
  [1_073_741_824n, '1.0 GiB'],
  [2n ** 63n, '8192.0 PiB'],
])('%d bytes are shown as %s', (bytes, text) => {
  expect(bytesText(bytes)).toBe(text);
});

test.each([
  [0, '0s'],
  [59_400, '59s'],
  [59_600, '1m'],
  [90_000, '1m30s'],
  [3_600_000, '1h'],
  [7_500_000, '2h5m'],
  [86_400_000, '1d'],
  [360_000_000, '4d4h'],
  [-5000, '0s'],
])('%d ms are shown as %s', (spanMs, text) => {
  expect(spanText(spanMs)).toBe(text);
});

test.each([
  ['a moment', Date.UTC(2026, 10, 22, 19, 3, 11, 999), '2026-11-22 19:03:11'],
  ['ISO text with microseconds', '2026-11-22T19:03:11.123456Z', '2026-11-22 19:03:11'],
  ['ISO text with an offset, turned to UTC', '2026-11-22T20:03:11+01:00', '2026-11-22 19:03:11'],
  ['no moment', undefined, '-'],
  ['empty text', '', '-'],
  ['text that is no time', 'yesterday\x1b[2J', '-'],
  ['a moment beyond all calendars', Number.MAX_SAFE_INTEGER, '-'],
])('%s is shown in UTC', (_what, moment, text) => {
  expect(utcText(moment)).toBe(text);
});

test('a timestamp gives its milliseconds', () => {
  expect(momentOf(timestampFromMs(1_795_374_191_250))).toBe(1_795_374_191_250);
  expect(momentOf(undefined)).toBeUndefined();
});

test('an age counts from a moment, and a moment to come is no age', () => {
  expect(ageText(1000, 66_000)).toBe('1m5s');
  expect(ageText(9000, 1000)).toBe('0s');
  expect(ageText(undefined, 1000)).toBe('-');
});

test('a rate is in millions of bytes', () => {
  expect(rateText(48_345_678)).toBe('48.3 MB/s');
});
