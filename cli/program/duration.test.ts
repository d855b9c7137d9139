import { expect, test } from 'vitest';
import { parseDuration } from './duration.ts';

test.each([
  ['seconds', '90s', 90_000],
  ['minutes', '30m', 1_800_000],
  ['hours and minutes', '1h30m', 5_400_000],
  ['milliseconds', '250ms', 250],
  ['parts of an hour', '1.5h', 5_400_000],
  ['days', '2d', 172_800_000],
])('%s are read: %s', (_what, text, spanMs) => {
  expect(parseDuration(text)).toBe(spanMs);
});

test.each([
  ['a bare number', '30'],
  ['nothing', ''],
  ['zero', '0s'],
  ['a negative time', '-5m'],
  ['an unknown unit', '3w'],
  ['a space', '1h 30m'],
  ['more than a timer can hold', '25d'],
  ['words', 'soon'],
])('%s is refused: "%s"', (_what, text) => {
  expect(parseDuration(text)).toBeUndefined();
});

test.each([
  ['thirty days', '30d', 2_592_000_000],
  ['years', '1y', undefined],
  ['one day more', '31d', undefined],
])('where nothing waits it may be longer: %s', (_what, text, spanMs) => {
  expect(parseDuration(text, 2_592_000_000)).toBe(spanMs);
});
