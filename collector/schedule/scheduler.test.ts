import { expect, test } from 'vitest';
import type { Run } from '../journal/runs.ts';
import type { ScheduleSpec } from '../journal/schedules.ts';
import { type Chances, ordinary, World } from './testing/world.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const at = '2026-01-05T00:30:00.000Z';
const quick: Chances = { capture: () => ({ ms: minuteMs, end: 'complete' }), stepMs: () => 1 };

async function worldWith(
  specs: Partial<ScheduleSpec>[],
  { nodes = 3, max = 10, chances = quick }: { nodes?: number; max?: number; chances?: Chances } = {},
): Promise<World> {
  const world = new World(at, nodes, max, chances);
  world.startCollector();
  await world.clock.pass(1_000);
  for (const spec of specs) world.schedules.create({ ...ordinary, ...spec }, 'operator/alice');
  return world;
}

const brief = (runs: readonly Run[]): string[] =>
  runs.map(({ tick, nodeName, state, reason, ticks }) =>
    [tick.slice(11, 16), nodeName, state, reason, ticks === 1 ? '' : ticks].filter((part) => part !== '').join(' '),
  );
const runsOf = (world: World): string[] => brief(world.schedules.runs({ limit: 1000 }).reverse());
const on = (...nodeNames: string[]) => ({ target: { ...ordinary.target, nodeNames } });

test('each tick runs once on each node', async () => {
  using world = await worldWith([{}]);
  await world.clock.pass(2 * hourMs);
  expect(runsOf(world).sort()).toEqual(
    ['01:00', '02:00'].flatMap((tick) => ['n0', 'n1', 'n2'].map((node) => `${tick} ${node} succeeded`)),
  );
  expect(world.journal.list({ limit: 10 }).map(({ request }) => [request.requestedBy, request.reason])).toContainEqual([
    'schedule/s',
    'schedule s',
  ]);
  expect(world.troubles).toEqual([]);
});

test('an earlier run that still goes on: the next is skipped', async () => {
  using world = await worldWith([{ ...on('n0') }], {
    chances: { ...quick, capture: () => ({ ms: 90 * minuteMs, end: 'partial' }) },
  });
  await world.clock.pass(3.2 * hourMs);
  expect(runsOf(world)).toEqual(['01:00 n0 failed network_stall', '02:00 n0 skipped overlap', '03:00 n0 running']);
});

test('another capture on the node: the run waits for it, up to its deadline', async () => {
  using world = await worldWith([{ ...on('n0'), startingDeadlineMs: 10 * minuteMs }], {
    chances: { ...quick, capture: () => ({ ms: 45 * minuteMs, end: 'complete' }) },
  });
  await world.clock.pass(25 * minuteMs);
  const node = world.nodes[0];
  if (node !== undefined) void world.byHand(node, 'key');
  await world.clock.pass(30 * minuteMs);
  expect(runsOf(world)).toEqual(['01:00 n0 missed node_busy']);
});

test('never more at once than the schedule allows, and never more than the collector does', async () => {
  using world = await worldWith(
    [
      { maxConcurrent: 2, startingDeadlineMs: hourMs },
      { name: 'other', cron: '30 * * * *', startingDeadlineMs: hourMs },
    ],
    {
      nodes: 7,
      max: 3,
      chances: { ...quick, capture: () => ({ ms: 3 * minuteMs, end: 'complete' }) },
    },
  );
  let most = 0;
  let mostOfOne = 0;
  await world.clock.pass(1.9 * hourMs, () => {
    const underway = world.journal.underway();
    most = Math.max(most, underway.length);
    const ours = underway.filter(({ id }) => world.journal.get(id).request.schedule?.name === 's');
    mostOfOne = Math.max(mostOfOne, ours.length);
  });
  expect([most, mostOfOne]).toEqual([3, 2]);
  expect(new Set(runsOf(world).map((run) => run.split(' ')[2]))).toEqual(new Set(['succeeded']));
});

test.each([
  {
    sentence: 'under pressure: skipped',
    spec: {},
    change: (world: World) => {
      for (const node of world.nodes) node.pressure = 'MemoryPressure';
    },
    expected: '01:00 n0 skipped node_pressure',
  },
  {
    sentence: 'under pressure that does not matter: captured',
    spec: { ignorePressure: true },
    change: (world: World) => {
      for (const node of world.nodes) node.pressure = 'MemoryPressure';
    },
    expected: '01:00 n0 succeeded',
  },
  {
    sentence: 'not capturable: skipped',
    spec: {},
    change: (world: World) => {
      for (const node of world.nodes) {
        node.refusal = 'kcore is masked';
        world.refresh(node);
      }
    },
    expected: '01:00 n0 skipped not_capturable',
  },
  {
    sentence: 'offline: missed',
    spec: {},
    change: (world: World) => {
      for (const node of world.nodes) world.setOnline(node, false);
    },
    expected: '01:00 n0 missed node_offline',
  },
  {
    sentence: 'no room on the disk: missed',
    spec: {},
    change: (world: World) => {
      world.freeBytes = 1;
    },
    expected: '01:00 n0 missed disk_too_small',
  },
])('a node that is $sentence', async ({ spec, change, expected }) => {
  using world = await worldWith([{ ...spec, ...on('n0') }]);
  change(world);
  await world.clock.pass(1.1 * hourMs);
  expect(runsOf(world)).toEqual([expected]);
  expect(world.ended).toHaveLength(1);
});

test('where each capture needs a second person, a schedule that somebody made by call runs nowhere, nor does a round by hand, and they say so', async () => {
  using world = new World(at, 1, 10, quick);
  world.approval = true;
  world.startCollector();
  await world.clock.pass(1_000);
  world.schedules.create({ ...ordinary, name: 'called' }, 'operator/alice');
  world.schedules.configure([{ ...ordinary, name: 'configured' }]);
  await world.clock.pass(hourMs);
  expect(runsOf(world).sort()).toEqual(['01:00 n0 skipped approval_required', '01:00 n0 succeeded']);
  const round = world.schedules.trigger('configured', 'key', 'operator/bob');
  await world.clock.pass(1_000);
  await round;
  expect(runsOf(world).filter((run) => run.includes('approval_required'))).toHaveLength(2);
});

test('nodes that never exist are missed, and so is a tick that fits none', async () => {
  using world = await worldWith([on('ghost')]);
  using empty = await worldWith([{}], { nodes: 0 });
  await world.clock.pass(1.1 * hourMs);
  await empty.clock.pass(1.1 * hourMs);
  expect(runsOf(world)).toEqual(['01:00 ghost missed node_offline']);
  expect(runsOf(empty)).toEqual(['01:00 missed no_nodes']);
});

test('a node that comes back before the deadline is captured', async () => {
  using world = await worldWith([on('n0')]);
  const node = world.nodes[0];
  if (node !== undefined) world.setOnline(node, false);
  await world.clock.pass(45 * minuteMs);
  expect(runsOf(world)).toEqual(['01:00 n0 waiting']);
  if (node !== undefined) world.setOnline(node, true);
  await world.clock.pass(5 * minuteMs);
  expect(runsOf(world)).toEqual(['01:00 n0 succeeded']);
});

test('what a collector slept through is one record; what may still begin runs', async () => {
  using world = await worldWith([on('n0')]);
  world.killCollector();
  await world.clock.pass(3.7 * hourMs);
  world.startCollector();
  await world.clock.pass(5 * minuteMs);
  expect(runsOf(world)).toEqual(['03:00 missed collector_down 3', '04:00 n0 succeeded']);
});

test('a run whose deadline passed while no collector was up', async () => {
  using world = await worldWith([on('n0')]);
  const node = world.nodes[0];
  if (node !== undefined) world.setOnline(node, false);
  await world.clock.pass(35 * minuteMs);
  world.killCollector();
  await world.clock.pass(50 * minuteMs);
  world.startCollector();
  await world.clock.pass(minuteMs);
  expect(runsOf(world)).toEqual(['01:00 n0 missed collector_down']);
});

test('a clock that is put forward: what it jumped over is missed for that; put back: nothing runs twice', async () => {
  using world = await worldWith([on('n0')]);
  await world.clock.pass(45 * minuteMs);
  world.clock.jump(4 * hourMs);
  await world.clock.pass(minuteMs);
  expect(runsOf(world)).toEqual(['01:00 n0 succeeded', '04:00 missed clock_jumped 3', '05:00 n0 running']);
  world.clock.jump(-4 * hourMs);
  await world.clock.pass(5 * hourMs);
  expect(runsOf(world)).toEqual([
    '01:00 n0 succeeded',
    '04:00 missed clock_jumped 3',
    '05:00 n0 succeeded',
    '06:00 n0 succeeded',
  ]);
});

test('a capture whose collector was killed before the run knew of it is found again, not made twice', async () => {
  using world = await worldWith([on('n0')], {
    chances: { capture: () => ({ ms: 10 * minuteMs, end: 'complete' }), stepMs: () => 5_000 },
  });
  await world.clock.pass(30 * minuteMs + 16_500);
  expect(world.journal.list({ limit: 10 })).toHaveLength(1);
  expect(runsOf(world)).toEqual(['01:00 n0 waiting']);
  world.killCollector();
  await world.clock.pass(minuteMs);
  world.startCollector();
  await world.clock.pass(minuteMs);
  expect(runsOf(world)).toEqual(['01:00 n0 running']);
  await world.clock.pass(20 * minuteMs);
  expect(runsOf(world)).toEqual(['01:00 n0 succeeded']);
  expect(world.journal.list({ limit: 10 })).toHaveLength(1);
});

test('a capture that ends while no collector is up ends its run when one is', async () => {
  using world = await worldWith([on('n0')], {
    chances: { ...quick, capture: () => ({ ms: 10 * minuteMs, end: 'canceled' }) },
  });
  await world.clock.pass(31 * minuteMs);
  world.killCollector();
  await world.clock.pass(20 * minuteMs);
  world.startCollector();
  await world.clock.pass(minuteMs);
  expect(runsOf(world)).toEqual(['01:00 n0 failed canceled']);
});

test('pausing skips what comes and what waits; resuming goes on from then', async () => {
  using world = await worldWith([on('n0', 'n1')]);
  const away = world.nodes[1];
  if (away !== undefined) world.setOnline(away, false);
  await world.clock.pass(40 * minuteMs);
  expect(world.schedules.pause('s', 'operator/bob').pausedBy).toBe('operator/bob');
  await world.clock.pass(2 * hourMs);
  world.schedules.resume('s', 'operator/bob');
  await world.clock.pass(hourMs - 5 * minuteMs);
  expect(runsOf(world).sort()).toEqual([
    '01:00 n0 succeeded',
    '01:00 n1 skipped paused',
    '02:00 skipped paused',
    '03:00 skipped paused',
    '04:00 n0 succeeded',
    '04:00 n1 waiting',
  ]);
});

test('a round by hand: once for a key, beside the clock, also while it is paused', async () => {
  using world = await worldWith([{ ...on('n0', 'n1'), jitterMs: hourMs }]);
  world.schedules.pause('s', 'operator/bob');
  const trigger = async (key: string) => {
    const round = world.schedules.trigger('s', key, 'operator/bob');
    await world.clock.pass(10);
    return await round;
  };
  const [first, same] = [await trigger('a'), await trigger('a')];
  expect(first).toHaveLength(2);
  expect(same.map(({ tick, nodeUid }) => tick + nodeUid)).toEqual(first.map(({ tick, nodeUid }) => tick + nodeUid));
  expect(brief(await trigger('b'))).toEqual(['00:30 n0 waiting', '00:30 n1 waiting']);
  await world.clock.pass(5 * minuteMs);
  expect(runsOf(world).sort()).toEqual([
    '00:30 n0 skipped overlap',
    '00:30 n0 succeeded',
    '00:30 n1 skipped overlap',
    '00:30 n1 succeeded',
  ]);
});

test('a schedule that is deleted: what waits is skipped, what runs goes on, and the record stays', async () => {
  using world = await worldWith([on('n0', 'n1')], {
    chances: { ...quick, capture: () => ({ ms: 10 * minuteMs, end: 'complete' }) },
  });
  const away = world.nodes[1];
  if (away !== undefined) world.setOnline(away, false);
  await world.clock.pass(35 * minuteMs);
  world.schedules.remove('s', 'operator/bob');
  await world.clock.pass(hourMs);
  expect(runsOf(world).sort()).toEqual(['01:00 n0 succeeded', '01:00 n1 skipped deleted']);
  expect(() => world.schedules.get('s')).toThrow("there is no schedule s: list them with 'kcorder schedule get'");
});

test('schedules of the configuration are changed there only', async () => {
  using world = await worldWith([{ name: 'called' }]);
  const { schedules } = world;
  expect(() => schedules.configure([{ ...ordinary, name: 'called' }])).toThrow('called (made by operator/alice)');
  schedules.configure([
    { ...ordinary, name: 'ours' },
    { ...ordinary, name: 'more' },
  ]);
  expect(() => schedules.create({ ...ordinary, name: 'ours' }, 'operator/alice')).toThrow('part of the configuration');
  expect(() => schedules.create({ ...ordinary, name: 'called' }, 'operator/alice')).toThrow(
    'there is a schedule called',
  );
  expect(() => schedules.remove('ours', 'operator/alice')).toThrow('part of the configuration');
  schedules.pause('ours', 'operator/alice');
  schedules.configure([{ ...ordinary, name: 'ours', cron: '*/10 * * * *' }]);
  expect(schedules.list().map(({ spec, pausedBy }) => [spec.name, spec.cron, pausedBy])).toEqual([
    ['called', '0 * * * *', ''],
    ['ours', '*/10 * * * *', 'operator/alice'],
  ]);
  const acts = world.database.prepare(`SELECT actor || ' ' || action AS act FROM audit WHERE capture_id = ''`).all();
  expect(acts.map(({ act }) => act)).toEqual([
    'operator/alice schedule_created',
    'collector schedule_created',
    'collector schedule_created',
    'operator/alice schedule_paused',
    'collector schedule_deleted',
    'collector schedule_changed',
  ]);
});

test('runs begin within the jitter, each node at a moment of its own that is the same each time', async () => {
  using world = await worldWith([{ jitterMs: 20 * minuteMs }], { nodes: 20, max: 20 });
  await world.clock.pass(2 * hourMs);
  const runs = world.schedules.runs({ limit: 1000 });
  const offsets = (hour: string) =>
    runs
      .filter(({ tick }) => tick.includes(`T${hour}`))
      .sort((a, b) => (a.nodeName < b.nodeName ? -1 : 1))
      .map(({ tick, dueAt }) => Date.parse(dueAt) - Date.parse(tick));
  expect(offsets('01')).toEqual(offsets('02'));
  expect(offsets('01').every((ms) => ms >= 0 && ms < 20 * minuteMs)).toBe(true);
  expect(new Set(offsets('01')).size).toBe(20);
});
