import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { type ScheduleSpec, ScheduleSpecSchema } from '@kcorder/proto/gen/kcorder/v1/schedule_pb.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { type Certificates, makeCertificates, startCollector } from '../fixtures/collector.ts';
import { runCommand, type Surroundings } from '../fixtures/command.ts';
import { pausedOf, runsOf, scheduleOf, tickMs } from '../fixtures/lab-schedule.ts';

let certificates: Certificates;
beforeAll(() => {
  certificates = makeCertificates();
});
afterAll(() => certificates[Symbol.dispose]());

type Handlers = Parameters<typeof startCollector>[1];

async function kcorder(words: readonly string[] | string, handlers: Handlers = {}, surroundings: Surroundings = {}) {
  await using collector = await startCollector(certificates, handlers);
  const environment = { KCORDER_COLLECTOR: collector.address, KCORDER_TLS_DIR: certificates.operatorDir };
  const args = typeof words === 'string' ? words.split(' ') : words;
  return await runCommand(['schedule', ...args], { environment, ...surroundings });
}

test('create tells the collector all that was said, and prints what became of it', async () => {
  const seen: (ScheduleSpec | undefined)[] = [];
  const ran = await kcorder(
    [
      ...['create', 'shop', '--cron', '0 */6 * * *', '--time-zone', 'Europe/Berlin', '--node', 'a', '--node', 'b'],
      ...['--node-labels', 'pool=web', '--pod-namespace', 'shop', '--pod-namespace', 'pay', '--pod-labels', 'app=web'],
      ...['--no-analyze', '--jitter', '5m', '--starting-deadline', '10m', '--max-concurrent', '2', '--ignore-pressure'],
      ...['--keep-last', '4', '--ttl', '30d', '--reason', 'baseline of the shop'],
    ],
    {
      createSchedule: async ({ spec }) => {
        seen.push(spec);
        return { schedule: scheduleOf() };
      },
    },
  );
  expect(seen).toEqual([
    create(ScheduleSpecSchema, {
      name: 'shop',
      cron: '0 */6 * * *',
      timeZone: 'Europe/Berlin',
      target: {
        nodeNames: ['a', 'b'],
        nodeLabels: 'pool=web',
        podNamespaces: ['shop', 'pay'],
        podLabels: 'app=web',
      },
      analyze: false,
      jitter: { seconds: 300n },
      startingDeadline: { seconds: 600n },
      maxConcurrent: 2,
      ignorePressure: true,
      retention: { keepLast: 4, ttl: { seconds: 2_592_000n } },
      reason: 'baseline of the shop',
    }),
  ]);
  expect(ran.stdout).toMatch(/^NAME .*\nshop +0 \*\/6 \* \* \* +Europe\/Berlin .*\n\nnodes /);
  expect(ran.stderr).toBe('Schedule shop is made. Its next tick is at 2026-11-23 00:00:00 UTC.\n');
  expect(ran.exit).toBe(0);
});

test('create leaves unset what was not said, and says that nothing deletes its captures', async () => {
  const seen: (ScheduleSpec | undefined)[] = [];
  const ran = await kcorder('create nightly --cron @daily -o json', {
    createSchedule: async ({ spec }) => {
      seen.push(spec);
      return { schedule: pausedOf() };
    },
  });
  expect(seen).toEqual([
    create(ScheduleSpecSchema, { name: 'nightly', cron: '@daily', analyze: true, target: {}, retention: {} }),
  ]);
  expect(ran.stderr).toBe(
    'Schedule nightly is made. It has no tick to come.\nNothing deletes its captures: --keep-last and --ttl say what may go.\n',
  );
  expect(JSON.parse(ran.stdout)).toMatchObject({ spec: { name: 'nightly', timeZone: '' }, configured: true });
});

test('get lists every schedule, and JSON and YAML carry the same', async () => {
  const handlers: Handlers = { listSchedules: async () => ({ schedules: [pausedOf(), scheduleOf()] }) };
  const ran = await kcorder('get', handlers);
  expect(ran.stdout).toMatch(/^NAME .*\nnightly +@daily +UTC .* yes +-\nshop .* 3 succeeded, 1 MISSED\n$/);
  expect(ran.stderr).toBe('');
  expect(ran.exit).toBe(0);
  const json = JSON.parse((await kcorder('get -o json', handlers)).stdout);
  expect(json.schedules).toMatchObject([{ spec: { name: 'nightly' }, pausedBy: 'bob' }, { spec: { jitter: '300s' } }]);
  expect(parse((await kcorder('get -o yaml', handlers)).stdout)).toEqual(json);
});

test('get of a collector without schedules says so, and how to make one', async () => {
  const ran = await kcorder('get', { listSchedules: async () => ({}) });
  expect(ran).toEqual({ exit: 0, stdout: '', stderr: 'No schedules. `kcorder schedule create` makes one.\n' });
});

const one: Handlers = {
  getSchedule: async () => ({
    schedule: scheduleOf(),
    nextTicks: [timestampFromMs(tickMs + 6 * 3_600_000), timestampFromMs(tickMs + 12 * 3_600_000)],
  }),
  listRuns: async () => ({ runs: runsOf() }),
};

test('get NAME shows one with its next ticks and what became of the last ones', async () => {
  const asked: unknown[] = [];
  const ran = await kcorder('get shop', {
    getSchedule: async ({ name }, context) => {
      asked.push(name);
      return one.getSchedule?.({ name } as never, context) ?? {};
    },
    listRuns: async ({ schedule, nodeName, limit }) => {
      asked.push([schedule, nodeName, limit]);
      return { runs: runsOf() };
    },
  });
  expect(asked).toEqual(['shop', ['shop', '', 20]]);
  expect(ran.stdout).toMatch(
    /\nnext {9}2026-11-23 00:00:00 UTC\nnext {9}2026-11-23 06:00:00 UTC\n\nTICK \(UTC\) +NODE /,
  );
  expect(ran.stdout).toContain('2026-11-22 18:00:00  lab-2  MISSED     node_offline    -           its agent was not');
  expect(ran.stderr).toBe('');
  expect(ran.exit).toBe(0);
});

test('get NAME in JSON carries the schedule, its next ticks and its runs', async () => {
  const json = JSON.parse((await kcorder('get shop -o json', one)).stdout);
  expect(Object.keys(json)).toEqual(['schedule', 'nextTicks', 'runs']);
  expect(json.nextTicks).toEqual(['2026-11-23T00:00:00Z', '2026-11-23T06:00:00Z']);
  expect(json.runs[2]).toMatchObject({ nodeName: 'lab-2', state: 'RUN_STATE_MISSED', reason: 'node_offline' });
});

test('get NAME of one without a tick says so; of one with many, where the others are', async () => {
  const young = await kcorder('get shop', { ...one, listRuns: async () => ({}) });
  expect(young.stdout).toMatch(/\n\nNo tick yet\.\n$/);
  const runs = Array.from({ length: 4 }, runsOf).flat();
  const old = await kcorder('get shop', { ...one, listRuns: async () => ({ runs }) });
  expect(old.stderr).toBe('`kcorder schedule runs shop` shows more of its runs.\n');
});

test('runs asks for a schedule, a node and a number', async () => {
  const asked: unknown[] = [];
  const listRuns: NonNullable<Handlers['listRuns']> = async ({ schedule, nodeName, limit }) => {
    asked.push([schedule, nodeName, limit]);
    return { runs: runsOf() };
  };
  const named = await kcorder('runs shop --node lab-1 --limit 1000', { listRuns });
  const all = await kcorder('runs', { listRuns });
  expect(asked).toEqual([
    ['shop', 'lab-1', 1000],
    ['', '', 0],
  ]);
  expect(named.stdout).toMatch(/^TICK \(UTC\) +NODE .*\n2026-11-22 18:01:00 +lab-1 +running /);
  expect(all.stdout).toMatch(/^TICK \(UTC\) +SCHEDULE +NODE .*\n2026-11-22 18:01:00 +shop +lab-1 +running /);
  const json = JSON.parse((await kcorder('runs -o json', { listRuns })).stdout);
  expect(json.runs.map(({ ticks }: { ticks: number }) => ticks)).toEqual([0, 0, 0, 0, 3]);
});

test.each([
  ['runs', 'No runs.\n'],
  ['runs shop', 'No runs of schedule shop.\n'],
  ['runs shop --node lab-9', 'No runs of schedule shop on node lab-9.\n'],
])('kcorder schedule %s without any says so', async (line, stderr) => {
  expect(await kcorder(line, { listRuns: async () => ({}) })).toEqual({ exit: 0, stdout: '', stderr });
});

test.each([
  ['no cron', ['create', 'shop'], /^kcorder: required option '--cron <expression>' not specified\n/],
  ['an empty cron', ['create', 'shop', '--cron', ' '], /It must not be empty\./],
  ['no name', ['create', '--cron', '@daily'], /^kcorder: missing required argument 'name'\n/],
  ['a time that is none', ['create', 's', '--cron', 'x', '--jitter', 'soon'], /Give a time such as 90s, 30m or 1h30m/],
  ['an age that is none', ['create', 's', '--cron', 'x', '--ttl', '30'], /Give a time such as 12h or 30d\./],
  ['an age of ages', ['create', 's', '--cron', 'x', '--ttl', '36501d'], /Give a time such as 12h or 30d\./],
  ['none to keep', ['create', 's', '--cron', 'x', '--keep-last', '0'], /Give a whole number from 1 to 1000000\./],
  ['half a node', ['create', 's', '--cron', 'x', '--max-concurrent', '0.5'], /Give a whole number from 1 to/],
  ['labels that mean every node', ['create', 's', '--cron', 'x', '--node-labels', ' '], /It would mean every node\./],
  ['labels that mean every pod', ['create', 's', '--cron', 'x', '--pod-labels', ''], /It would mean every pod\./],
  ['a node without a name', ['create', 's', '--cron', 'x', '--node', ''], /It must not be empty\./],
  ['too many runs', ['runs', '--limit', '1001'], /Give a whole number from 1 to 1000\./],
  ['a key that is too long', ['trigger', 's', '--idempotency-key', 'k'.repeat(129)], /longer than 128 characters/],
  ['nothing to pause', ['pause'], /^kcorder: missing required argument 'name'\n/],
])('%s is refused before anything is asked', async (_what, args, expected) => {
  const ran = await runCommand(['schedule', ...args]);
  expect(ran.stderr).toMatch(expected);
  expect(ran.stdout).toBe('');
  expect(ran.exit).toBe(2);
});

test.each(['create', 'get', 'runs', 'pause', 'resume', 'trigger', 'delete'])(
  'kcorder schedule %s --help shows examples',
  async (verb) => {
    const ran = await runCommand(['schedule', verb, '--help']);
    expect(ran.stdout.split('Examples:')[1]?.match(/^ {2}kcorder schedule /gm)?.length).toBeGreaterThanOrEqual(2);
    expect(ran.exit).toBe(0);
  },
);
