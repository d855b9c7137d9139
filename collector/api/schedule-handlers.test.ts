import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { connect } from '@kcorder/proto/bridge/connect.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { RunState, ScheduleService } from '@kcorder/proto/gen/kcorder/v1/schedule_pb.ts';
import { afterAll, expect, test } from 'vitest';
import { until } from '../testing/files.ts';
import { Parties, Rig } from '../testing/rig.ts';

const parties = new Parties();
afterAll(() => parties[Symbol.dispose]());

const callsOf = (rig: Rig) => connect(ScheduleService, rig.channel(parties.operator));
const yearly = { name: 'yearly', cron: '0 0 1 1 *', target: { nodeNames: ['n1'] } };

test('a schedule is made, shown, paused, resumed and deleted', async () => {
  await using rig = await Rig.start(parties);
  const calls = callsOf(rig);
  const spec = {
    ...yearly,
    jitter: durationFromMs(90_500),
    retention: { keepLast: 2, ttl: durationFromMs(3_600_000) },
    analyze: true,
  };
  const { schedule } = await calls.createSchedule({ spec });
  expect(schedule).toMatchObject({ spec, configured: false, createdBy: 'operator/alice', pausedBy: '', lastRuns: [] });
  const { nextTicks, schedule: same } = await calls.getSchedule({ name: 'yearly' });
  expect(nextTicks).toHaveLength(10);
  expect(same?.nextTickAt).toEqual(nextTicks[0]);
  expect((await calls.pauseSchedule({ name: 'yearly' })).schedule).toMatchObject({ pausedBy: 'operator/alice' });
  expect((await calls.listSchedules({})).schedules.map(({ nextTickAt }) => nextTickAt)).toEqual([undefined]);
  expect((await calls.resumeSchedule({ name: 'yearly' })).schedule).toMatchObject({ pausedBy: '' });
  await calls.deleteSchedule({ name: 'yearly' });
  expect((await calls.listSchedules({})).schedules).toEqual([]);
});

test('a round by hand is ordered at the agent, and its run follows the capture', async () => {
  await using rig = await Rig.start(parties);
  const calls = callsOf(rig);
  const agent = rig.agent('n1');
  await agent.attach();
  await calls.createSchedule({ spec: { ...yearly, reason: 'a baseline' } });
  const trigger = async () => (await calls.triggerSchedule({ name: 'yearly', idempotencyKey: 'k' })).runs;
  const [run] = await trigger();
  expect(run).toMatchObject({ schedule: 'yearly', nodeName: 'n1', triggered: true, ticks: 1 });
  const captureId = await agent.ordered();
  expect(await rig.operator().getCapture({ captureId })).toMatchObject({
    capture: { reason: 'a baseline', requestedBy: 'schedule/yearly' },
  });
  const runs = async () => (await calls.listRuns({ schedule: 'yearly', nodeName: 'n1' })).runs;
  await until(async () => (await runs())[0]?.state === RunState.RUNNING);
  expect((await trigger()).map((same) => [same.tickAt, same.captureId])).toEqual([[run?.tickAt, captureId]]);
  await rig.operator().cancelCapture({ captureId });
  await until(async () => (await runs())[0]?.state === RunState.FAILED);
  expect(await runs()).toMatchObject([
    { captureId, reason: 'canceled', detail: 'operator/alice has canceled the capture' },
  ]);
  expect((await calls.getSchedule({ name: 'yearly' })).schedule?.lastRuns).toMatchObject([
    { state: RunState.FAILED, count: 1 },
  ]);
});

test('what cannot be done says why', async () => {
  await using rig = await Rig.start(parties);
  const calls = callsOf(rig);
  const wrong = { ...yearly, cron: '0 0 30 2 *', timeZone: 'Mars', target: { nodeLabels: 'a=b' } };
  await expect(calls.createSchedule({ spec: wrong })).rejects.toMatchObject({
    code: 'invalid_argument',
    message: expect.stringMatching(
      /cron names a day that never comes; timeZone is not .*; target\.nodeLabels cannot be looked for/,
    ),
  });
  await expect(calls.createSchedule({})).rejects.toMatchObject({ code: 'invalid_argument' });
  await calls.createSchedule({ spec: yearly });
  await expect(calls.createSchedule({ spec: yearly })).rejects.toMatchObject({ code: 'schedule_exists' });
  await expect(calls.triggerSchedule({ name: 'yearly' })).rejects.toMatchObject({ code: 'invalid_argument' });
  await expect(calls.listRuns({ limit: 1001 })).rejects.toMatchObject({ code: 'invalid_argument' });
  for (const call of [
    calls.getSchedule({ name: 'none' }),
    calls.pauseSchedule({ name: 'none' }),
    calls.resumeSchedule({ name: 'none' }),
    calls.deleteSchedule({ name: 'none' }),
    calls.triggerSchedule({ name: 'none', idempotencyKey: 'k' }),
  ])
    await expect(call).rejects.toMatchObject({ code: 'schedule_unknown' });
});

test('rounds that end at once are paced by who triggers them, whatever the schedule', async () => {
  await using rig = await Rig.start(parties);
  const calls = callsOf(rig);
  const names = Array.from({ length: 12 }, (_, index) => `yearly-${index}`);
  for (const name of names) await calls.createSchedule({ spec: { ...yearly, name } });
  const codes = [];
  for (const name of names) {
    const refused = calls.triggerSchedule({ name, idempotencyKey: 'k' }).then(
      () => undefined,
      (error: unknown) => Fault.from(error),
    );
    codes.push(await refused);
  }
  expect(codes.slice(0, 10)).toEqual(Array(10).fill(undefined));
  expect(codes.at(-1)).toMatchObject({ code: 'resource_exhausted', retryAfterMs: expect.any(Number) });
});

test('whoever makes and deletes schedules of many nodes again and again fills the audit log no faster than by small calls', async () => {
  await using rig = await Rig.start(parties);
  const calls = callsOf(rig);
  const nodeNames = Array.from({ length: 240 }, (_, index) => `${index}-`.padEnd(240, 'n'));
  const spec = { ...yearly, target: { nodeNames } };
  const bytes = JSON.stringify(nodeNames).length;
  expect(bytes).toBeGreaterThan(56 << 10);
  let made = 0;
  const attack = async () => {
    while (made * bytes < 1 << 20) {
      await calls.createSchedule({ spec });
      made += 1;
      await calls.deleteSchedule({ name: spec.name });
    }
  };
  // 60 tokens at once, of which each of these takes 15, are a quarter of a MiB; what comes while it runs is less than as much again.
  await expect(attack()).rejects.toMatchObject({
    code: 'resource_exhausted',
    message: expect.stringContaining('each 4 KiB of a request counted as one'),
    retryAfterMs: expect.any(Number),
  });
  expect(made).toBeGreaterThanOrEqual(3);
  expect(made * bytes).toBeLessThan(1 << 20);
});
