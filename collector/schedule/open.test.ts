import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Fault } from '@kcorder/proto/fault.ts';
import { expect, test } from 'vitest';
import { CaptureSlots } from '../fleet/capture-slots.ts';
import type { Captures } from '../fleet/captures.ts';
import { type Attached, Fleet } from '../fleet/fleet.ts';
import { CaptureJournal } from '../journal/capture-journal.ts';
import { openDatabase } from '../journal/database.ts';
import { NodeJournal } from '../journal/node-journal.ts';
import { RunJournal } from '../journal/run-journal.ts';
import { ScheduleJournal, type ScheduleTarget } from '../journal/schedule-journal.ts';
import { makeScratch } from '../testing/files.ts';
import { request } from '../testing/states.ts';
import { openSchedules, scheduledNodes } from './open.ts';
import { ordinary } from './testing/world.ts';

/** A folder with a database and a file of schedules. */
function makeRooms() {
  const scratch = makeScratch();
  const path = join(scratch.dir, 'schedules.json');
  const database = openDatabase(scratch.dir);
  const journal = new CaptureJournal(database);
  const fleet = new Fleet(new NodeJournal(database));
  const refused: Fault[] = [];
  const taken: number[] = [];
  const open = async (schedulesFile = path) =>
    await openSchedules(
      { schedulesFile, approval: false },
      {
        scheduleJournal: new ScheduleJournal(database),
        runs: new RunJournal(database),
        journal,
        fleet,
        slots: new CaptureSlots(journal, fleet, { maxCaptures: 1, orderMs: 1 }),
        captures: {} as unknown as Captures,
      },
      {
        runEnded: () => undefined,
        failed: () => undefined,
        clockJumped: () => undefined,
        fileRefused: (fault) => void refused.push(fault),
        fileTaken: (count) => void taken.push(count),
      },
    );
  const write = (...names: string[]): void =>
    writeFileSync(path, JSON.stringify({ schedules: names.map((name) => ({ name, cron: '0 0 1 1 *' })) }));
  const close = () => {
    database.close();
    scratch[Symbol.dispose]();
  };
  return { path, fleet, refused, taken, open, write, [Symbol.dispose]: close };
}

test('schedules come from the file and go with it; what was made by call stays', async () => {
  using deps = makeRooms();
  deps.write('a', 'b');
  const first = await deps.open();
  first.schedules.create({ ...ordinary, name: 'mine', cron: '@yearly' }, 'operator/alice');
  deps.write('b', 'c');
  await first.lookAtFile();
  const names = ({ schedules }: typeof first) =>
    schedules.list().map(({ spec, configured }) => `${spec.name} ${configured}`);
  expect(names(first)).toEqual(['b true', 'c true', 'mine false']);
  expect(deps.taken).toEqual([2]);
  await first.lookAtFile();
  expect(deps.taken).toEqual([2]);
  first.close();
  const second = await deps.open('');
  expect(names(second)).toEqual(['mine false']);
  second.close();
});

test('a file that is wrong at the start is refused; one that becomes wrong is told once, and the last good one holds', async () => {
  using deps = makeRooms();
  await expect(deps.open()).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringContaining('cannot be read'),
  });
  writeFileSync(deps.path, '{"schedules":[{"name":"A","cron":"x"}]}');
  await expect(deps.open()).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringMatching(/is wrong: schedules\[0\]\.name is not .*; schedules\[0\]\.cron is not /),
  });
  deps.write('a');
  const opened = await deps.open();
  writeFileSync(deps.path, 'no more');
  await opened.lookAtFile();
  await opened.lookAtFile();
  expect(deps.refused.map(({ code }) => code)).toEqual(['config_invalid']);
  expect(opened.schedules.list()).toHaveLength(1);
  deps.write('a');
  await opened.lookAtFile();
  expect(deps.taken).toEqual([1]);
  rmSync(deps.path);
  await opened.lookAtFile();
  expect(deps.refused).toHaveLength(2);
  opened.close();
});

test('a schedule that was made by call and is in the file too: nothing starts, and both are named', async () => {
  using deps = makeRooms();
  deps.write();
  const first = await deps.open();
  first.schedules.create({ ...ordinary, name: 'mine' }, 'operator/alice');
  first.close();
  deps.write('mine');
  await expect(deps.open()).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringContaining('mine (made by operator/alice)'),
  });
});

test('which nodes a schedule is for', async () => {
  using deps = makeRooms();
  const { fleet } = deps;
  const agents = ['n1', 'n2', 'n3'].map((name): Attached => {
    const known = {
      name,
      uid: `u-${name}`,
      lastSeenAt: '2026-01-01T00:00:00.000Z',
      agentVersion: '0',
      kernel: request.kernel,
    };
    return { node: { ...known, refusals: [] }, instanceId: 'i', send: () => undefined, detach: () => undefined };
  });
  for (const agent of agents) fleet.attach(agent);
  for (const agent of agents.slice(1)) fleet.detached(agent);
  const target = (more: Partial<ScheduleTarget>): ScheduleTarget => ({ ...ordinary.target, ...more });
  const uids = new Map([
    ['n1', 'u-n1'],
    ['n2', 'u-n2'],
    ['n4', 'u-n4'],
  ]);
  const asked: unknown[] = [];
  const cluster = {
    inStepAt: () => new Date(),
    nodeUid: (name: string) => uids.get(name),
    pressureOn: () => ['DiskPressure'],
    nodesThatFit: async (wanted: unknown) => {
      asked.push(wanted);
      return [...uids].map(([name, uid]) => ({ name, uid }));
    },
  };
  const alone = scheduledNodes(fleet, undefined);
  const inCluster = scheduledNodes(fleet, cluster);
  const names = async (selected: Promise<{ name: string; uid: string }[]>) =>
    (await selected).map(({ name, uid }) => `${name} ${uid}`);
  expect(await names(alone.select(target({})))).toEqual(['n1 u-n1', 'n2 u-n2', 'n3 u-n3']);
  // n3 is not in the cluster any more.
  expect(await names(inCluster.select(target({})))).toEqual(['n1 u-n1', 'n2 u-n2']);
  expect(await names(alone.select(target({ nodeNames: ['n9', 'n2', 'n2'] })))).toEqual(['n2 u-n2', 'n9 name/n9']);
  expect(await names(inCluster.select(target({ nodeNames: ['n4'] })))).toEqual(['n4 u-n4']);
  expect(asked).toEqual([]);
  const labelled = target({ nodeLabels: 'a=b', nodeNames: ['n1', 'n4'] });
  expect(await names(inCluster.select(labelled))).toEqual(['n1 u-n1', 'n4 u-n4']);
  expect(asked).toEqual([labelled]);
  await expect(alone.select(labelled)).rejects.toMatchObject({ code: 'unimplemented' });
  const run = (nodeName: string, nodeUid = `u-${nodeName}`) => ({ nodeName, nodeUid });
  expect(alone.state(run('n1'))).toEqual({ attached: true, uid: 'u-n1', refusals: [], pressure: [] });
  expect(alone.state(run('n1', 'name/n1')).attached).toBe(true);
  expect(alone.state(run('n1', 'another')).attached).toBe(false);
  expect(inCluster.state(run('n2'))).toEqual({ attached: false, refusals: [], pressure: ['DiskPressure'] });
});
