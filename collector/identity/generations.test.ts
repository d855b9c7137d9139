import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Generation, lives, needsAnother, retained, signing, trusted, withAnother } from './generations.ts';

const hour = 3_600_000;
const day = 24 * hour;
const start = Date.parse('2026-01-01T00:00:00Z');

const made = (nowMs: number): Generation => ({
  createdAt: new Date(nowMs).toISOString(),
  notAfter: new Date(nowMs + lives.authority).toISOString(),
  certificate: '',
  key: '',
});

/** Throws when one of these does not hold. Millions are asked, and `expect` takes longer than all that it is asked about. */
function all(holds: Readonly<Record<string, boolean>>, nowMs: number): void {
  const broken = Object.keys(holds).filter((what) => !holds[what]);
  if (broken.length > 0) throw new Error(`${new Date(nowMs).toISOString()}: not ${broken.join(', ')}`);
}

function signerOf(generations: readonly Generation[], nowMs: number): Generation {
  const by = signing(generations, nowMs);
  if (by === undefined) throw new Error(`${new Date(nowMs).toISOString()}: nobody signs`);
  return by;
}

/** What a turn of the authority makes of its generations. */
const turn = (before: readonly Generation[], nowMs: number): Generation[] =>
  retained(needsAnother(before, nowMs) ? withAnother(before, made(nowMs)) : before, nowMs);

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
        const by = signerOf(generations, nowMs);
        const yesterday = read.findLast(({ atMs }) => nowMs - atMs >= lives.overlap && nowMs - atMs < 2 * day);
        const holds = {
          signerTrusted: known.includes(by),
          few: known.length <= 3,
          knownToReaders: yesterday === undefined || generations.length === 1 || yesterday.trusted.includes(by),
          leafTrusted: leaf === undefined || leaf.untilMs <= nowMs || known.includes(leaf.by),
        };
        all(holds, nowMs);
        leaf = { by, untilMs: nowMs + lives.leaf };
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
  expect(trusted(second, later)).toEqual([signing(second, later)]);
  expect(signing(second, later)).toBe(second[1]);
});

test('a clock that goes back a month changes nothing', () => {
  const half = start + lives.authority / 2;
  const two = turn(turn([], start), half);
  expect(two).toHaveLength(2);
  expect(turn(two, half - 30 * day)).toEqual(two);
  expect(signing(two, half - 30 * day)).toBe(two[0]);
});

test('a clock that is wrong by years for up to a month, ahead or behind: once it is right, whoever would be trusted without it is, and one that holds signs', () => {
  const excursion = fc.record({
    at: fc.integer({ min: 0, max: 400 }),
    days: fc.integer({ min: 1, max: 30 }),
    offDays: fc.integer({ min: -20 * 365, max: 20 * 365 }),
  });
  fc.assert(
    fc.property(excursion, ({ at, days, offDays }) => {
      let today = 0;
      const ms = (off = 0): number => start + (today + off) * day;
      let before: Generation[] = [];
      for (; today < at; today += 1) before = turn(before, ms());
      let [right, wrong] = [before, before];
      for (; today < at + days; today += 1) {
        right = turn(right, ms());
        wrong = turn(wrong, ms(offDays));
        signerOf(wrong, ms(offDays));
      }
      wrong = turn(wrong, ms());
      const [would, are] = [trusted(right, ms()), trusted(wrong, ms())];
      all({ allTrusted: would.every((one) => !before.includes(one) || are.includes(one)) }, ms());
      for (const end = today + 500; today < end; today += 1) {
        wrong = turn(wrong, ms());
        const by = signerOf(wrong, ms());
        const holds = {
          signerTrusted: trusted(wrong, ms()).includes(by),
          begun: Date.parse(by.createdAt) <= ms(),
          few: wrong.length <= 8,
        };
        all(holds, ms());
      }
    }),
    { numRuns: 100 },
  );
});

test('a clock that leaps from year to year and back makes a bounded number', () => {
  let generations = turn([], start);
  for (let years = -40; years <= 40; years += 1) generations = turn(generations, start + years * 2 * lives.authority);
  expect(generations.length).toBeLessThanOrEqual(8);
  generations = turn(generations, start);
  expect(trusted(generations, start)).toContain(signing(generations, start));
});
