import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ScheduleSpec } from '../journal/schedule-journal.ts';
import { durationMs, readSchedules } from './schedules-text.ts';
import { selectorProblem } from './selector.ts';
import { problemsOf, sameSpec, sentenceOf } from './spec.ts';
import { ordinary } from './testing/world.ts';

const target = ordinary.target;

describe('a schedule', () => {
  test.each([
    { change: { name: 'Nightly' }, place: 'name' },
    { change: { name: '' }, place: 'name' },
    { change: { name: `a${'b'.repeat(63)}` }, place: 'name' },
    { change: { cron: '61 * * * *' }, place: 'cron' },
    { change: { timeZone: 'Mars/Olympus' }, place: 'timeZone' },
    { change: { target: { ...target, nodeNames: ['n1', 'N 2'] } }, place: 'target.nodeNames' },
    { change: { target: { ...target, podNamespaces: [''] } }, place: 'target.podNamespaces' },
    { change: { target: { ...target, nodeLabels: 'a in (b' } }, place: 'target.nodeLabels' },
    { change: { target: { ...target, podLabels: '=' } }, place: 'target.podLabels' },
    { change: { jitterMs: -1 }, place: 'jitter' },
    { change: { jitterMs: 25 * 3_600_000 }, place: 'jitter' },
    { change: { startingDeadlineMs: 0 }, place: 'startingDeadline' },
    { change: { maxConcurrent: -1 }, place: 'maxConcurrent' },
    { change: { retention: { keepLast: 1.5 } }, place: 'retention.keepLast' },
    { change: { retention: { keepLast: 1, ttlMs: Number.NaN } }, place: 'retention.ttl' },
    { change: { reason: 'x'.repeat(1025) }, place: 'reason' },
  ] satisfies { change: Partial<ScheduleSpec>; place: string }[])('$change is wrong at $place', ({ change, place }) => {
    expect(problemsOf({ ...ordinary, ...change }, true).map((problem) => problem.place)).toEqual([place]);
  });

  test('all that is wrong is told at once', () => {
    const wrong = { ...ordinary, name: '-', cron: 'never', timeZone: 'x y', maxConcurrent: -1 };
    expect(sentenceOf(problemsOf(wrong, true))).toMatch(
      /^name is not .*; cron is not .*; timeZone is not .*; maxConcurrent is not /,
    );
  });

  test('what only a cluster knows cannot be looked for without one', () => {
    const labelled = { ...ordinary, target: { ...target, nodeLabels: 'a=b', podNamespaces: ['shop'], podLabels: 'c' } };
    expect(problemsOf(labelled, true)).toEqual([]);
    expect(sentenceOf(problemsOf(labelled, false))).toContain(
      'target.podLabels cannot be looked for: this collector knows no cluster',
    );
    expect(problemsOf({ ...ordinary, target: { ...target, nodeNames: ['n1'] } }, false)).toEqual([]);
  });

  test('is the same whatever the order of its keys', () => {
    const { name, ...rest } = ordinary;
    expect(sameSpec({ ...rest, name }, ordinary)).toBe(true);
    expect(sameSpec({ ...ordinary, jitterMs: 1 }, ordinary)).toBe(false);
  });
});

test.each([
  'app=web',
  'app==web,tier!=db',
  'a',
  '!a',
  'tier in (a, b),x notin (c)',
  'example.com/role=',
  'kubernetes.io/os = linux',
])('kubectl takes "%s"', (selector) => {
  expect(selectorProblem(selector)).toBeUndefined();
});

test.each(['=', 'a=b=c', 'a in b', 'a in ()', 'a,,b', 'a=b,', 'a&b', '-a', 'x'.repeat(1025)])(
  'nobody takes "%s"',
  (selector) => {
    expect(selectorProblem(selector)).toBeDefined();
  },
);

test.each([
  ['0', 0],
  ['90s', 90_000],
  ['1h30m', 5_400_000],
  ['720h', 2_592_000_000],
  ['', undefined],
  ['5', undefined],
  ['5d', undefined],
  ['m', undefined],
  ['30m1h', undefined],
  ['-5m', undefined],
  [' 5m', undefined],
])('"%s" is %s ms', (text, ms) => {
  expect(durationMs(text)).toBe(ms);
});

describe('a file of schedules', () => {
  const full = {
    name: 'nightly',
    cron: '0 3 * * *',
    timeZone: 'Europe/Berlin',
    target: { nodeNames: ['n1'], nodeLabels: 'pool=a', podNamespaces: ['shop'], podLabels: 'app=web' },
    analyze: true,
    jitter: '5m',
    startingDeadline: '10m',
    maxConcurrent: 2,
    ignorePressure: true,
    retention: { keepLast: 3, ttl: '720h' },
    reason: 'a baseline',
  };
  const read = (schedules: unknown) => readSchedules(JSON.stringify({ schedules }), true);

  test('says all of a schedule, or next to nothing', () => {
    const { jitter: _, startingDeadline: __, ...same } = full;
    const expected = {
      ...same,
      jitterMs: 300_000,
      startingDeadlineMs: 600_000,
      retention: { keepLast: 3, ttlMs: 2_592_000_000 },
    };
    const least = { ...ordinary, name: 'b', cron: '@daily' };
    expect(read([full, { name: 'b', cron: '@daily' }])).toEqual({ kind: 'good', specs: [expected, least] });
    expect(read([])).toEqual({ kind: 'good', specs: [] });
  });

  test('says what its analyses run, or what is wrong with that', () => {
    const plugins = [{ name: 'linux.bash.Bash', arguments: { pid: '7' } }, { name: 'linux.lsof.Lsof' }];
    const wrong: [unknown, RegExp][] = [
      [{ profile: 'all' }, /\.analysis cannot be run: there is no profile "all"; there are quick, standard, deep$/],
      [{ plugins: [{ name: 'Lsof' }] }, /cannot be run: there is no plugin "Lsof": did you mean linux\.lsof\.Lsof/],
      [{ plugins, profile: 'deep' }, /is neither a profile nor plugins, or both/],
      [JSON.parse('{"plugins":[{"name":"linux.bash.Bash","arguments":{"__proto__":"7"}}]}'), /no argument "__proto__"/],
      [{}, /is neither a profile nor plugins, or both/],
      [{ plugins: ['linux.bash.Bash'] }, /analysis\.plugins\[0\] is not an object/],
      [
        { plugins: [{ name: 'linux.bash.Bash', arguments: { pid: 7 } }] },
        /plugins\[0\]\.arguments is not an object of texts/,
      ],
    ];
    for (const analysis of [{ profile: 'deep' }, { plugins }])
      expect(read([{ ...full, analysis }])).toMatchObject({ kind: 'good', specs: [{ analysis }] });
    for (const [analysis, what] of wrong) {
      const result = read([{ ...full, analysis }]);
      expect(result.kind === 'bad' && sentenceOf(result.problems)).toMatch(what);
    }
    const result = read([{ ...full, analyze: false, analysis: { profile: 'deep' } }]);
    expect(result.kind === 'bad' && sentenceOf(result.problems)).toBe(
      'schedules[0].analysis is for nothing, as analyze is false',
    );
  });

  test('tells each thing that is wrong with its place', () => {
    const wrong = [
      { ...full, jitter: 5, retention: { keepLast: '3', forever: true } },
      { ...full, name: 'b', target: { nodeName: 'n1' }, cron: '* * *' },
      full,
      'nightly',
    ];
    const result = read(wrong);
    expect(result.kind === 'bad' && result.problems.map(({ place, what }) => `${place} ${what}`)).toEqual([
      'schedules[0].jitter is not a time such as "90s", "5m" or "1h30m"',
      'schedules[0].retention.keepLast is not a whole number',
      'schedules[0].retention.forever is unknown',
      'schedules[1].target.nodeName is unknown',
      expect.stringMatching(/^schedules\[1\]\.cron is not five fields/),
      'schedules[2].name is that of schedules[0] too',
      'schedules[3] is not an object',
      expect.stringMatching(/^schedules\[3\]\.name is not 1 to 63/),
      expect.stringMatching(/^schedules\[3\]\.cron is not five fields/),
    ]);
  });

  test.each([
    ['', 'the file is no JSON'],
    ['[]', 'the file is not {"schedules": [ … ]}'],
    ['{"schedules":{}}', 'the file is not {"schedules": [ … ]}'],
    ['{"schedules":[],"more":1}', 'more is unknown'],
  ])('%j: %s', (text, sentence) => {
    const result = readSchedules(text, true);
    expect(result.kind === 'bad' && sentenceOf(result.problems)).toContain(sentence);
  });

  test('never crashes, whatever is in it', () => {
    const value = fc.oneof(fc.jsonValue(), fc.constantFrom('5m', 'n1', true, 3));
    const keys = fc.constantFrom(
      ...Object.keys(full),
      ...Object.keys(full.target),
      'keepLast',
      'ttl',
      '__proto__',
      'toString',
    );
    const entry = fc.dictionary(keys, fc.oneof(value, fc.dictionary(keys, value)));
    fc.assert(
      fc.property(fc.array(fc.oneof(entry, value), { maxLength: 3 }), (schedules) => {
        const result = read(schedules);
        if (result.kind === 'good') for (const spec of result.specs) expect(problemsOf(spec, true)).toEqual([]);
        else expect(result.problems.length).toBeGreaterThan(0);
      }),
      { numRuns: 2_000 },
    );
  });
});
