import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fuzzRuns } from '../../tools/fuzz-runs.ts';
import { cronProblem, nextTick, ticksBetween, timeZoneProblem } from './ticks.ts';

const ticks = (cron: string, timeZone: string, after: string, count: number): string[] =>
  ticksBetween({ cron, timeZone }, Date.parse(after), Number.POSITIVE_INFINITY, count).map((tick) =>
    new Date(tick).toISOString().replace(':00.000', ''),
  );

test.each([
  { cron: '*/5 * * * *' },
  { cron: '0 3 * * MON-FRI' },
  { cron: '*/10 * * * * *' },
  { cron: '30 0 12 1 jan *' },
  { cron: '@hourly' },
  { cron: '@Weekly' },
  { cron: '0 0 29 2 *' },
  { cron: '0 0 L * *' },
  { cron: '0 0 * * 5#1' },
])('$cron can be used', ({ cron }) => {
  expect(cronProblem(cron)).toBeUndefined();
});

test.each([
  { cron: '', problem: 'is not five fields' },
  { cron: '* * * *', problem: 'is not five fields' },
  { cron: '* * * * * * *', problem: 'is not five fields' },
  { cron: '__proto__', problem: 'is not five fields' },
  { cron: 'constructor', problem: 'is not five fields' },
  { cron: '2026-01-05T00:00:00', problem: 'is not five fields' },
  { cron: '? * * * *', problem: 'is not five fields' },
  { cron: '0\u00a00 * * *', problem: 'is not five fields' },
  { cron: '__proto__', problem: 'is not five fields' },
  { cron: 'constructor', problem: 'is not five fields' },
  { cron: '@reboot', problem: 'is not one of @hourly' },
  { cron: '60 * * * *', problem: 'has "60" for the minute, which takes 0 to 59' },
  { cron: '0 24 * * *', problem: 'has "24" for the hour, which takes 0 to 23' },
  { cron: '99 0 0 * * *', problem: 'has "99" for the second, which takes 0 to 59' },
  { cron: '0 99 0 * * *', problem: 'has "99" for the minute' },
  { cron: '0 0 1 13 *', problem: 'has "13" for the month, which takes 1 to 12 or JAN to DEC' },
  { cron: '0 0 1 0 *', problem: 'has "0" for the month' },
  { cron: '0 0 0 * *', problem: 'has "0" for the day of the month, which takes 1 to 31' },
  { cron: '0 0 32W * *', problem: 'has "32W" for the day of the month' },
  { cron: '0 0 * * 8', problem: 'has "8" for the day of the week, which takes 0 to 7 or SUN to SAT' },
  { cron: '0 0 * * MON#6', problem: 'has "MON#6" for the day of the week' },
  { cron: '0 0 1 1-13 *', problem: 'has "1-13" for the month, which takes 1 to 12 or JAN to DEC; a range is low-high' },
  { cron: '0 0 1 JAN-XXX *', problem: 'has "JAN-XXX" for the month' },
  { cron: '0 0 1 2,13-14/2 *', problem: 'has "13-14/2" for the month' },
  { cron: '1,2,099 * * * *', problem: 'has "099" for the minute' },
  { cron: '*/0 * * * *', problem: 'has "*/0" for the minute, which takes 0 to 59; a range is low-high, a step */n' },
  { cron: '*/90 * * * *', problem: 'has "*/90" for the minute' },
  { cron: '5-1 * * * *', problem: 'has "5-1" for the minute' },
  { cron: '0 0 1, * *', problem: 'has an empty entry ("1,") for the day of the month' },
  { cron: '0 0 30 2 *', problem: 'names a day that never comes' },
  { cron: '0 0 31 4,6,9,11 *', problem: 'names a day that never comes' },
  { cron: '* * * * * *', problem: 'more often than every 10 s' },
  { cron: '0,5 * * * * *', problem: 'more often than every 10 s' },
  { cron: '0,55 * * * * *', problem: 'more often than every 10 s' },
  { cron: `${'1,'.repeat(200)}1 * * * *`, problem: 'is longer than 256 characters' },
])('"$cron" $problem', ({ cron, problem }) => {
  expect(cronProblem(cron)).toContain(problem);
});

test.each([
  { cron: '0 0 13 * 5', days: '02-06 02-13 02-20 02-27 03-06' },
  { cron: '0 0 13 * *', days: '02-13 03-13 04-13 05-13 06-13' },
  { cron: '0 0 * * 5', days: '02-06 02-13 02-20 02-27 03-06' },
  { cron: '0 0 14 * MON', days: '02-02 02-09 02-14 02-16 02-23' },
  { cron: '0 0 */10 * MON', days: '02-02 02-09 02-11 02-16 02-21' },
  { cron: '0 0 */1 * MON', days: '02-02 02-09 02-16 02-23 03-02' },
  { cron: '0 0 13 */1 */1', days: '02-13 03-13 04-13 05-13 06-13' },
  { cron: '0 0 1-31 * MON', days: '02-02 02-03 02-04 02-05 02-06' },
])('$cron is due on the days that either of its day fields names: $days', ({ cron, days }) => {
  const found = ticks(cron, '', '2026-02-01T12:00:00Z', 5);
  expect(found.map((tick) => tick.slice(5, 10)).join(' ')).toBe(days);
});

test.each(['', 'UTC', 'Europe/Berlin', 'Etc/GMT+5', 'America/Argentina/Buenos_Aires'])(
  '"%s" is a time zone',
  (zone) => {
    expect(timeZoneProblem(zone)).toBeUndefined();
  },
);

test.each(['Europe/Atlantis', '+02:00', ' UTC', 'Mars', '../etc/passwd', 'x'.repeat(1000)])(
  '"%s" is no time zone',
  (zone) => {
    expect(timeZoneProblem(zone)).toContain('IANA');
  },
);

test.each([
  {
    sentence: 'a time in the gap comes at the moment of the leap',
    cron: '30 2 * * *',
    zone: 'Europe/Berlin',
    after: '2026-03-28T12:00Z',
    expected: ['2026-03-29T01:00Z', '2026-03-30T00:30Z'],
  },
  {
    sentence: 'times in the gap are one, also with one that is at the moment of the leap',
    cron: '0,30 2,3 * * *',
    zone: 'Europe/Berlin',
    after: '2026-03-28T12:00Z',
    expected: ['2026-03-29T01:00Z', '2026-03-29T01:30Z', '2026-03-30T00:00Z'],
  },
  {
    sentence: 'a time that comes twice ticks the first time',
    cron: '30 2 * * *',
    zone: 'Europe/Berlin',
    after: '2026-10-24T12:00Z',
    expected: ['2026-10-25T00:30Z', '2026-10-26T01:30Z'],
  },
  {
    sentence: 'every quarter of an hour that comes twice ticks eight times',
    cron: '*/15 * * * *',
    zone: 'Europe/Berlin',
    after: '2026-10-24T23:59Z',
    expected: [0, 15, 30, 45, 60, 75, 90, 105].map((minute) =>
      new Date(Date.UTC(2026, 9, 25, 0, minute)).toISOString().replace(':00.000', ''),
    ),
  },
  {
    sentence: 'every hour goes on over the gap',
    cron: '7 * * * *',
    zone: 'America/New_York',
    after: '2026-03-08T05:30Z',
    expected: ['2026-03-08T06:07Z', '2026-03-08T07:07Z', '2026-03-08T08:07Z'],
  },
  {
    sentence: 'half an hour that comes twice',
    cron: '45 1 * * *',
    zone: 'Australia/Lord_Howe',
    after: '2026-04-04T00:00Z',
    expected: ['2026-04-04T14:45Z', '2026-04-05T15:15Z'],
  },
  {
    sentence: 'a day that was left out',
    cron: '0 12 * * *',
    zone: 'Pacific/Apia',
    after: '2011-12-29T00:00Z',
    expected: ['2011-12-29T22:00Z', '2011-12-30T10:00Z', '2011-12-30T22:00Z'],
  },
  {
    sentence: 'a midnight that does not exist',
    cron: '@daily',
    zone: 'America/Sao_Paulo',
    after: '2018-11-03T12:00Z',
    expected: ['2018-11-04T03:00Z', '2018-11-05T02:00Z'],
  },
  {
    sentence: 'every hour of the next leap day',
    cron: '0 */12 29 2 *',
    zone: 'Europe/Berlin',
    after: '2024-03-01T00:00Z',
    expected: ['2028-02-28T23:00Z', '2028-02-29T11:00Z', '2032-02-28T23:00Z'],
  },
  {
    sentence: 'quarters of hours east of Greenwich',
    cron: '0 6 * * *',
    zone: 'Asia/Kathmandu',
    after: '2026-01-01T00:15Z',
    expected: ['2026-01-02T00:15Z'],
  },
])('$sentence', ({ cron, zone, after, expected }) => {
  expect(ticks(cron, zone, after, expected.length)).toEqual(expected);
});

const minuteMs = 60_000;
const dayMs = 24 * 3_600_000;
/** Moments around which the clocks of a zone were or are changed, and one where they are not. */
const places = [
  { zone: 'Europe/Berlin', around: ['2026-03-29', '2026-10-25', '1945-05-24', '2026-07-01'] },
  { zone: 'America/New_York', around: ['2026-03-08', '2026-11-01', '2007-03-11'] },
  { zone: 'Australia/Lord_Howe', around: ['2026-04-05', '2026-10-04', '1981-03-01'] },
  { zone: 'Asia/Kathmandu', around: ['1986-01-01', '2026-01-01'] },
  { zone: 'America/Sao_Paulo', around: ['2018-11-04', '2019-02-17', '2008-10-19'] },
  { zone: 'Pacific/Apia', around: ['2011-12-30', '2011-09-24', '2012-04-01'] },
  { zone: 'Africa/Casablanca', around: ['2026-02-15', '2026-03-22'] },
];

interface Pattern {
  readonly minutes: readonly number[];
  readonly hours: readonly number[] | 'every' | number;
  readonly days: readonly number[];
}

const cronOf = ({ minutes, hours, days }: Pattern): string => {
  const hour = hours === 'every' ? '*' : typeof hours === 'number' ? `*/${hours}` : hours.join(',');
  return `${minutes.join(',')} ${hour} ${days.length === 0 ? '*' : days.join(',')} * *`;
};

const fits = ({ minutes, hours, days }: Pattern, reading: number): boolean => {
  const date = new Date(reading);
  const hour = date.getUTCHours();
  const hourFits = hours === 'every' || (typeof hours === 'number' ? hour % hours === 0 : hours.includes(hour));
  return hourFits && minutes.includes(date.getUTCMinutes()) && (days.length === 0 || days.includes(date.getUTCDate()));
};

/** What a clock on a wall shows, by another way than the product's. */
const readings = (zone: string) => {
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' });
  const known = new Map<number, number>();
  return (at: number): number => {
    const shown = known.get(at) ?? Date.parse(`${format.format(at).replace(' ', 'T')}Z`);
    known.set(at, shown);
    return shown;
  };
};
/** Each zone's wall is looked at once for a minute, however many patterns are tried on it: the look is what takes time. */
const walls = new Map(places.map(({ zone }) => [zone, readings(zone)]));

/** Looks at the clock minute by minute, as a patient person would. */
function model(pattern: Pattern, zone: string, from: number, to: number): number[] {
  const read = walls.get(zone) ?? readings(zone);
  const realTime = !Array.isArray(pattern.hours);
  const found: number[] = [];
  let reached = read(from - 2 * dayMs);
  for (let at = from - 2 * dayMs + minuteMs; at <= to; at += minuteMs) {
    const shown = read(at);
    let ticks = realTime && fits(pattern, shown);
    if (!realTime) for (let each = reached + minuteMs; each <= shown; each += minuteMs) ticks ||= fits(pattern, each);
    reached = Math.max(reached, shown);
    if (ticks && at > from) found.push(at);
  }
  return found;
}

const someOf = (most: number, count: number) =>
  fc.uniqueArray(fc.integer({ min: 0, max: most }), { minLength: 1, maxLength: count });
const patterns: fc.Arbitrary<Pattern> = fc.record({
  minutes: someOf(59, 6),
  hours: fc.oneof(fc.constant('every' as const), fc.integer({ min: 1, max: 12 }), someOf(23, 5), someOf(3, 4)),
  days: fc.oneof(fc.constant([]), fc.uniqueArray(fc.integer({ min: 1, max: 31 }), { minLength: 1, maxLength: 20 })),
});
const cases = fc
  .constantFrom(...places)
  .chain(({ zone, around }) => fc.tuple(fc.constant(zone), fc.constantFrom(...around), patterns));

test('ticks are those that somebody sees who watches the clock on the wall', () => {
  fc.assert(
    fc.property(cases, fc.integer({ min: 0, max: 4320 }), ([zone, day, pattern], minutes) => {
      const from = Date.parse(`${day}T00:00Z`) - 2 * dayMs + minutes * minuteMs;
      const to = from + 3 * dayMs;
      const timing = { cron: cronOf(pattern), timeZone: zone };
      const expected = model(pattern, zone, from, to);
      expect(ticksBetween(timing, from, to, 100_000)).toEqual(expected);
      for (const at of expected.slice(0, 3)) expect(nextTick(timing, at - 1)).toBe(at);
      expect(nextTick(timing, from + 31_000)).toBe(nextTick(timing, from));
    }),
    { numRuns: 400 },
  );
});

describe('patterns from anybody', () => {
  const field = fc
    .array(fc.constantFrom(...'0123456789*,-/#LW', 'MON', 'FEB', '31', '*/', '1-', '#5', 'L'), { maxLength: 8 })
    .map((parts) => parts.join(''));
  const made = fc.array(field, { minLength: 5, maxLength: 6 }).map((fields) => fields.join(' '));
  const number = (max: number) => fc.integer({ min: 0, max }).map(String);
  const rare = fc
    .tuple(
      number(59),
      number(23),
      fc.constantFrom('29', '30', '31', 'L', '15W', '31W', 'LW'),
      number(13),
      fc.constantFrom('*', '1#5', '7#5', 'L', '5L', '*/7'),
    )
    .map((fields) => fields.join(' '));

  test('never crash the parser, nor keep it busy', () => {
    let slowestMs = 0;
    let usable = 0;
    fc.assert(
      fc.property(
        fc.oneof(made, rare, fc.string({ maxLength: 300 }), fc.string({ unit: 'binary', maxLength: 40 })),
        (cron) => {
          const started = performance.now();
          if (cronProblem(cron) === undefined) {
            usable += 1;
            const tick = nextTick({ cron, timeZone: 'America/New_York' }, Date.UTC(2026, 0));
            expect(tick === undefined || tick > Date.UTC(2026, 0)).toBe(true);
          }
          slowestMs = Math.max(slowestMs, performance.now() - started);
        },
      ),
      { numRuns: fuzzRuns(2_000) },
    );
    expect(usable).toBeGreaterThan(10);
    console.log(`${usable} usable patterns, the slowest took ${slowestMs.toFixed(0)} ms`);
  });
});
