import { expect, test } from 'vitest';
import { type RefusalLine, RefusalLog } from './refusal-log.ts';

function log(): { lines: RefusalLine[]; refusals: RefusalLog } {
  const lines: RefusalLine[] = [];
  return { lines, refusals: new RefusalLog((line) => void lines.push(line)) };
}

test('a flood of refusals is two lines: the first one, and how many followed', () => {
  const { lines, refusals } = log();
  for (let i = 0; i < 10_000; i += 1) refusals.note('10.0.0.9', 'unauthenticated', { method: `/m${i}` });
  refusals.note('10.0.0.8', 'unauthenticated', {});
  refusals.close();
  expect(lines).toEqual([
    { address: '10.0.0.9', reason: 'unauthenticated', count: 1, first: { method: '/m0' } },
    { address: '10.0.0.8', reason: 'unauthenticated', count: 1, first: {} },
    { address: '10.0.0.9', reason: 'unauthenticated', count: 9_999, first: { method: '/m0' } },
  ]);
});

test('a flood from very many addresses is bounded too', () => {
  const { lines, refusals } = log();
  for (let i = 0; i < 100_000; i += 1) refusals.note(`10.0.${i >> 8}.${i & 255}`, 'unauthenticated', {});
  refusals.close();
  expect(lines).toHaveLength(1_002);
  expect(lines.at(-1)).toMatchObject({ address: 'others', count: 98_999 });
});
