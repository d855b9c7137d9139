import { expect, test } from 'vitest';
import { quarantined } from '../journal/quarantine.ts';
import { at, brief, hourMs, minuteMs, on, quick, runsOf, worldWith } from './testing/hour.ts';
import { ordinary, World } from './testing/world.ts';

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
  await world.clock.pass(5 * minuteMs);
  expect(brief(await trigger('b'))).toEqual(['00:35 n0 waiting', '00:35 n1 waiting']);
  await world.clock.pass(5 * minuteMs);
  expect(runsOf(world).sort()).toEqual([
    '00:30 n0 succeeded',
    '00:30 n1 succeeded',
    '00:35 n0 succeeded',
    '00:35 n1 succeeded',
  ]);
});

test('whoever triggers a schedule of many nodes again and again makes one round at a time', async () => {
  const names = Array.from({ length: 50 }, (_, index) => `ghost-${index}`);
  using world = await worldWith([on(...names)]);
  const trigger = async (key: string) => await world.schedules.trigger('s', key, 'operator/mallory');
  const attack = Array.from({ length: 20 }, (_, index) => trigger(`key-${index}`));
  const settled = Promise.allSettled(attack);
  await world.clock.pass(1_000);
  const results = await settled;
  const refused = results.filter((result) => result.status === 'rejected');
  expect(results.filter((result) => result.status === 'fulfilled').map(({ value }) => value.length)).toEqual([50]);
  expect(refused.map(({ reason }) => reason.code)).toEqual(Array(19).fill('capture_running'));
  expect(String(refused[0]?.reason.message)).toMatch(/^schedule s was not triggered: .*'kcorder schedule runs s'/);
  await expect(trigger('later')).rejects.toMatchObject({ code: 'capture_running' });
  // The key of the open round leads to it, and a restart does not forget that it is open.
  world.killCollector();
  world.startCollector();
  await expect(trigger('later')).rejects.toMatchObject({ code: 'capture_running' });
  expect(await trigger('key-0')).toHaveLength(50);
  expect(world.schedules.runs({ limit: 1000 })).toHaveLength(50);
  const acts = world.database.prepare(`SELECT count(*) AS n FROM audit WHERE action = 'schedule_triggered'`).get();
  expect(acts?.n).toBe(1);
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

test('a schedule that is deleted and made anew has a rule for what it makes itself; one that stays in the configuration keeps its own', async () => {
  using world = new World(at, 1, 10, quick);
  world.startCollector();
  const { schedules, clock } = world;
  const since = (name: string) => schedules.retentionRules().get(name)?.since;
  schedules.create({ ...ordinary, name: 'called', retention: { keepLast: 0 } }, 'operator/alice');
  schedules.configure([{ ...ordinary, name: 'configured' }]);
  expect([since('called'), since('configured')]).toEqual([new Date(at).toISOString(), new Date(at).toISOString()]);
  await clock.pass(hourMs);
  schedules.remove('called', 'operator/mallory');
  schedules.create({ ...ordinary, name: 'called', retention: { keepLast: 1 } }, 'operator/mallory');
  schedules.configure([{ ...ordinary, name: 'configured', retention: { keepLast: 1 } }]);
  expect(since('called')).toBe(clock.wall().toISOString());
  expect(since('configured')).toBe(new Date(at).toISOString());
  expect(schedules.retentionRules().get('configured')?.keepLast).toBe(1);
});

test.each([
  ['a time zone that is gone', `json_set(spec, '$.timeZone', 'Mars/Olympus')`],
  ['a pattern that is none', `json_set(spec, '$.cron', 'now and then')`],
])('%s keeps no other schedule from running, is told, and can be deleted', async (_, broken) => {
  using world = await worldWith([on('n0'), { ...on('n1'), name: 'other' }]);
  world.killCollector();
  world.database.exec(`UPDATE schedules SET spec = ${broken} WHERE name = 's'`);
  world.startCollector();
  expect(world.schedules.list().map((schedule) => world.schedules.nextTicks(schedule, 1).length)).toEqual([1, 0]);
  expect(world.schedules.timesOf('s')).toEqual({});
  await world.clock.pass(1.1 * hourMs);
  expect(runsOf(world)).toEqual(['01:00 n1 succeeded']);
  expect(world.failures.map(String).join()).toMatch(/RangeError/);
  world.schedules.remove('s', 'operator/bob');
  expect(world.schedules.list().map(({ spec }) => spec.name)).toEqual(['other']);
});

test.each([
  ['is of another shape', `json_remove(spec, '$.target')`],
  ['is not even an object', `'7'`],
  ['has a number that is none', `json_set(spec, '$.jitterMs', 'soon')`],
  ['is of another name', `json_set(spec, '$.name', 'other')`],
])('a schedule whose spec %s is set aside, and can be made again', async (_, broken) => {
  using world = await worldWith([on('n0'), { ...on('n1'), name: 'other' }]);
  world.killCollector();
  world.database.exec(`UPDATE schedules SET spec = ${broken} WHERE name = 's'`);
  world.startCollector();
  expect(world.schedules.list().map(({ spec, createdBy }) => [spec.name, createdBy])).toEqual([
    ['other', 'operator/alice'],
  ]);
  expect(quarantined(world.database)).toEqual([
    { source: 'schedules', why: expect.stringContaining('its spec is no schedule'), count: 1 },
  ]);
  world.schedules.create({ ...ordinary, ...on('n0') }, 'operator/bob');
  await world.clock.pass(1.1 * hourMs);
  expect(runsOf(world).sort()).toEqual(['01:00 n0 succeeded', '01:00 n1 succeeded']);
});
