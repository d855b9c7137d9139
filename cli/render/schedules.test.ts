import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { RunSchema, ScheduleSchema } from '@kcorder/proto/gen/kcorder/v1/schedule_pb.ts';
import { expect, test } from 'vitest';
import { hostileTexts } from '../fixtures/hostile-text.ts';
import { takenMs } from '../fixtures/lab-capture.ts';
import { pausedOf, runsOf, scheduleOf, tickMs } from '../fixtures/lab-schedule.ts';
import type { Look } from '../output/grid.ts';
import { paintFor } from '../output/paint.ts';
import { runsTable } from './runs.ts';
import { retentionText, targetText } from './schedule-words.ts';
import { schedulesTable, scheduleText } from './schedules.ts';

const look: Look = { paint: paintFor(false), width: undefined, wide: false };
const wide: Look = { ...look, wide: true };

test('schedules, one a line', () => {
  expect(schedulesTable([scheduleOf(), pausedOf()], look, takenMs)).toBe(
    `
NAME     CRON         ZONE           NEXT IN  LAST  PAUSED  LAST RUNS
shop     0 */6 * * *  Europe/Berlin    4h56m  1h3m  -       3 succeeded, 1 MISSED
nightly  @daily       UTC                  -     -  yes     -
`.trimStart(),
  );
});

test('wide adds the moments, which nodes, what is done, what stays and who made it', () => {
  const [header, line, other] = schedulesTable([scheduleOf(), pausedOf()], wide, takenMs).split('\n');
  expect(header?.split(/ {2,}/).slice(6)).toEqual('NEXT (UTC),LAST (UTC),NODES,DOES,KEEPS,FROM,LAST RUNS'.split(','));
  expect(line?.split(/ {2,}/).slice(6)).toEqual([
    '2026-11-23 00:00:00',
    '2026-11-22 18:00:00',
    'where pods with labels app=web in shop run',
    'capture and analyze',
    'the newest 4 complete captures of each node, and what is younger than 30d',
    'alice',
    '3 succeeded, 1 MISSED',
  ]);
  expect(other?.split(/ {2,}/).slice(6)).toEqual([
    '-',
    '-',
    'every node that has an agent',
    'capture',
    'everything',
    'configuration',
    '-',
  ]);
});

test('one schedule says all that it was told, and its next ticks', () => {
  const ticks = [timestampFromMs(tickMs + 6 * 3_600_000), timestampFromMs(tickMs + 12 * 3_600_000)];
  expect(scheduleText(scheduleOf(), look, takenMs, ticks)).toBe(
    `
NAME  CRON         ZONE           NEXT IN  LAST  PAUSED  LAST RUNS
shop  0 */6 * * *  Europe/Berlin    4h56m  1h3m  -       3 succeeded, 1 MISSED

nodes        where pods with labels app=web in shop run
does         capture and analyze
reason       baseline of the shop
jitter       5m at most
deadline     10m
at once      2 nodes
keeps        the newest 4 complete captures of each node, and what is younger than 30d
made         2026-11-21 19:03:11 UTC by alice
next         2026-11-23 00:00:00 UTC
next         2026-11-23 06:00:00 UTC
`.trimStart(),
  );
});

test('one of the configuration says what it does where it was told nothing', () => {
  expect(scheduleText(pausedOf(), look, takenMs)).toBe(
    `
NAME     CRON    ZONE  NEXT IN  LAST  PAUSED  LAST RUNS
nightly  @daily  UTC         -     -  yes     -

nodes        every node that has an agent
does         capture
deadline     half of the time to the next tick, an hour at most
keeps        everything
made         in the configuration
paused       by bob
`.trimStart(),
  );
});

test('a last tick with a run that went wrong is in the tone of what is bad', () => {
  const toned = { ...look, paint: (tone: string, text: string) => `<${tone}>${text.trim()}</${tone}>` };
  expect(schedulesTable([scheduleOf()], toned, takenMs)).toContain('<bad>3 succeeded, 1 MISSED</bad>');
  expect(schedulesTable([pausedOf()], toned, takenMs)).not.toContain('<bad>');
});

test('what became of each tick, one a line', () => {
  expect(runsTable(runsOf(), look, false)).toBe(
    `
TICK (UTC)           NODE   STATE      REASON          CAPTURE     DETAIL
2026-11-22 18:01:00  lab-1  running    -               0193a5c2d8  by hand
2026-11-22 18:00:00  lab-1  succeeded  -               0193a5c2d7  -
2026-11-22 18:00:00  lab-2  MISSED     node_offline    -           its agent was not attached
2026-11-22 18:00:00  lab-3  skipped    node_pressure   -           -
2026-11-22 12:00:00  -      MISSED     collector_down  -           3 ticks, this is the last of them
`.trimStart(),
  );
});

test('runs of several schedules name theirs', () => {
  const [header, line] = runsTable(runsOf(), look, true).split('\n');
  expect(header).toMatch(/^TICK \(UTC\) +SCHEDULE +NODE /);
  expect(line).toMatch(/^2026-11-22 18:01:00 +shop +lab-1 +running /);
});

test.each([
  ['nothing', {}, 'every node that has an agent'],
  ['names', { nodeNames: ['a', 'b'] }, 'a, b'],
  ['labels of nodes', { nodeLabels: 'pool=web' }, 'with labels pool=web'],
  ['namespaces', { podNamespaces: ['shop', 'pay'] }, 'where pods in shop or pay run'],
  ['labels of pods', { podLabels: 'app=web' }, 'where pods with labels app=web run'],
  [
    'all of it',
    { nodeNames: ['a'], nodeLabels: 'pool=web', podNamespaces: ['shop'], podLabels: 'app=web' },
    'a; with labels pool=web; where pods with labels app=web in shop run',
  ],
])('a target of %s in words', (_what, target, text) => {
  expect(targetText(create(ScheduleSchema, { spec: { target } }).spec?.target)).toBe(text);
});

test.each([
  ['nothing', {}, 'everything'],
  ['a number', { keepLast: 7 }, 'the newest 7 complete captures of each node'],
  ['an age', { ttl: { seconds: 2_592_000n } }, 'what is younger than 30d'],
  [
    'both',
    { keepLast: 7, ttl: { seconds: 43_200n } },
    'the newest 7 complete captures of each node, and what is younger than 12h',
  ],
])('a retention of %s in words', (_what, retention, text) => {
  expect(retentionText(create(ScheduleSchema, { spec: { retention } }).spec?.retention)).toBe(text);
});

test('a terminal obeys nothing that a collector says of schedules', () => {
  const hostile = hostileTexts.map((text) =>
    create(ScheduleSchema, {
      spec: {
        name: text,
        cron: text,
        timeZone: text,
        target: { nodeNames: [text], nodeLabels: text, podNamespaces: [text], podLabels: text },
        reason: text,
      },
      createdBy: text,
      pausedBy: text,
    }),
  );
  const lines = scheduleText(scheduleOf(), wide, takenMs).split('\n').length;
  for (const schedule of hostile) {
    const text = scheduleText(schedule, wide, takenMs);
    expect(text).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
    expect(text.split('\n').length).toBeLessThanOrEqual(lines);
  }
  expect(schedulesTable(hostile, wide, takenMs).split('\n')).toHaveLength(hostile.length + 2);
});

test('a terminal obeys nothing that a collector says of runs', () => {
  const hostile = hostileTexts.map((text) =>
    create(RunSchema, { schedule: text, nodeName: text, reason: text, detail: text, captureId: text }),
  );
  const text = runsTable(hostile, wide, true);
  expect(text).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  expect(text.split('\n')).toHaveLength(hostile.length + 2);
});
