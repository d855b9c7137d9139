import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Generation, lives, needsAnother, signing, trusted } from './generations.ts';

const hour = 3_600_000;
const day = 24 * hour;
const start = Date.parse('2026-01-01T00:00:00Z');

const made = (nowMs: number): Generation => ({
  createdAt: new Date(nowMs).toISOString(),
  notAfter: new Date(nowMs + lives.authority).toISOString(),
  certificate: '',
  key: '',
});

/** What a turn of the authority makes of its generations. */
function turn(before: readonly Generation[], nowMs: number): Generation[] {
  const kept = trusted(before, nowMs);
  return needsAnother(kept, nowMs) ? [...kept, made(nowMs)] : kept;
}

test('over three years of hourly turns, also with outages, whoever read the bundle a day ago verifies what is signed now, and a leaf is trusted as long as it lives', () => {
  const outage = fc.record({ at: fc.integer({ min: 0, max: 3 * 365 }), days: fc.integer({ min: 0, max: 30 }) });
  fc.assert(
    fc.property(fc.array(outage, { maxLength: 6 }), (outages) => {
      let generations: Generation[] = [];
      const read: { atMs: number; trusted: Generation[] }[] = [];
      let leaf: { by: Generation; untilMs: number } | undefined;
      for (let nowMs = start; nowMs < start + 3 * 365 * day; nowMs += 6 * hour) {
        const today = (nowMs - start) / day;
        if (outages.some(({ at, days }) => today >= at && today < at + days)) continue;
        generations = turn(generations, nowMs);
        const known = trusted(generations, nowMs);
        const by = signing(generations, nowMs);
        expect(by).toBeDefined();
        expect(known).toContain(by);
        expect(known.length).toBeLessThanOrEqual(3);
        const yesterday = read.findLast(({ atMs }) => nowMs - atMs >= lives.overlap && nowMs - atMs < 2 * day);
        if (yesterday !== undefined && by !== undefined && generations.length > 1)
          expect(yesterday.trusted).toContain(by);
        if (leaf !== undefined && leaf.untilMs > nowMs) expect(known).toContain(leaf.by);
        if (by !== undefined) leaf = { by, untilMs: nowMs + lives.leaf };
        read.push({ atMs: nowMs, trusted: known });
        if (read.length > 12) read.shift();
      }
    }),
    { numRuns: 30 },
  );
});

test('the first authority signs at once', () => {
  const first = turn([], start);
  expect(signing(first, start)).toBe(first[0]);
});

test('after an outage of years another authority is made', () => {
  const first = turn([], start);
  const later = start + 2 * lives.authority;
  const second = turn(first, later);
  expect(second).toHaveLength(1);
  expect(signing(second, later)).toBe(second[0]);
});

test('a clock that goes back a month changes nothing', () => {
  const half = start + lives.authority / 2;
  const two = turn(turn([], start), half);
  expect(two).toHaveLength(2);
  expect(turn(two, half - 30 * day)).toEqual(two);
  expect(signing(two, half - 30 * day)).toBe(two[0]);
});
