import { expect, test } from 'vitest';
import { CaptureJournal } from '../journal/capture-journal.ts';
import { events } from '../testing/states.ts';
import { brief, hourMs, minuteMs, on, quick, runsOf, worldWith } from './testing/hour.ts';
import type { World } from './testing/world.ts';

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
  expect(world.failures).toEqual([]);
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

test('what was to end while no collector was up, but came again since the clock was put back, has its own reason', async () => {
  using world = await worldWith([on('n0')]);
  const node = world.nodes[0];
  if (node !== undefined) world.setOnline(node, false);
  world.killCollector();
  await world.clock.pass(5 * hourMs);
  world.startCollector();
  await world.clock.pass(minuteMs);
  world.clock.jump(-4 * hourMs);
  await world.clock.pass(minuteMs);
  const round = world.schedules.trigger('s', 'key', 'operator/alice');
  await world.clock.pass(hourMs);
  expect(brief(await round)).toEqual(['01:32 n0 waiting']);
  expect(runsOf(world)).toContain('01:32 n0 missed node_offline');
});

test('a collector that was killed when a capture had ended and its run had not', async () => {
  using world = await worldWith([on('n0')], {
    chances: { ...quick, capture: () => ({ ms: 24 * hourMs, end: 'complete' }) },
  });
  await world.clock.pass(31 * minuteMs);
  const [capture] = world.journal.list({ limit: 1 });
  world.killCollector();
  const journal = new CaptureJournal(world.database);
  for (const event of [
    events.canceled,
    { ...events.sealed, outcome: { kind: 'canceled', by: 'operator/alice' } } as const,
  ])
    journal.apply(capture?.request.id ?? '', event, 'operator/alice');
  world.startCollector();
  await world.clock.pass(1_000);
  expect(runsOf(world)).toEqual(['01:00 n0 failed canceled']);
});
