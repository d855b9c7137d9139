import { appendFileSync, existsSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, expect, test, vi } from 'vitest';
import { Probes } from './probes.ts';
import { makeFakeAvml } from './testing/fake-avml.ts';
import { Rig, until } from './testing/rig.ts';

const file = (rig: Rig, name: string): boolean => existsSync(join(rig.runDir, name));

test('ready exactly while the agent is attached; both files are gone at its end', async () => {
  await using rig = new Rig();
  mkdirSync(rig.runDir, { recursive: true });
  writeFileSync(join(rig.runDir, 'ready'), 'of an agent that was killed');
  rig.collector.welcome = { case: 'cancel', value: { $typeName: 'kcorder.v1.CancelOrder', captureId: 'c-1' } };
  await rig.start(makeFakeAvml(rig.dir, 1));
  await until(() => rig.saw('not attached; trying again'));
  expect([file(rig, 'alive'), file(rig, 'ready')]).toEqual([true, false]);
  rig.collector.welcome = undefined;
  await until(() => file(rig, 'ready'));
  rig.collector.stop();
  await until(() => !file(rig, 'ready'));
  await rig.collector.start();
  await until(() => file(rig, 'ready'));
  await rig.endAgent();
  expect([file(rig, 'alive'), file(rig, 'ready')]).toEqual([false, false]);
});

test('one changed byte of AVML: attached, but never ready', async () => {
  await using rig = new Rig();
  const avml = makeFakeAvml(rig.dir, 1);
  appendFileSync(avml.path, '#');
  await rig.start(avml);
  await until(() => rig.collector.heartbeats >= 3);
  expect(rig.saw('attached')).toBe(true);
  expect([file(rig, 'alive'), file(rig, 'ready')]).toEqual([true, false]);
});

test('an agent that waits for its certificate is alive and not ready', async () => {
  await using rig = new Rig();
  await rig.enrols({ ca: rig.authority.ca });
  const started = rig.start(makeFakeAvml(rig.dir, 1));
  await until(() => rig.saw('no certificate was issued; trying again'));
  expect([file(rig, 'alive'), file(rig, 'ready')]).toEqual([true, false]);
  writeFileSync(rig.place.tokenFile, 'token');
  await started;
  await until(() => file(rig, 'ready'));
});

const fakeClock = (): void => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] });
afterEach(() => void vi.useRealTimers());

test('alive is written at least every 10 s, and AVML is looked at then', async () => {
  await using rig = new Rig();
  fakeClock();
  mkdirSync(rig.runDir);
  let isIntact = true;
  const log = pino({}, { write: (line: string) => void rig.logged.push(JSON.parse(line)) });
  const probes = new Probes(rig.runDir, () => isIntact, log);
  const alive = join(rig.runDir, 'alive');
  const moment = (): number => Date.parse(readFileSync(alive, 'utf8').trim());
  probes.start();
  probes.attached(true);
  expect(file(rig, 'ready')).toBe(true);
  const [first, longAgo] = [moment(), new Date(0)];
  utimesSync(alive, longAgo, longAgo);
  isIntact = false;
  vi.advanceTimersByTime(10_000);
  expect(moment() - first).toBeGreaterThanOrEqual(5_000);
  expect(file(rig, 'ready')).toBe(false);
  probes.close();
  vi.advanceTimersByTime(10_000);
  expect(file(rig, 'alive')).toBe(false);
});

test('a folder that cannot be written to is told once, and ends nothing', async () => {
  await using rig = new Rig();
  fakeClock();
  const log = pino({}, { write: (line: string) => void rig.logged.push(JSON.parse(line)) });
  const probes = new Probes(join(rig.dir, 'nowhere'), () => true, log);
  probes.start();
  vi.advanceTimersByTime(20_000);
  expect(rig.logged).toMatchObject([{ level: 50, msg: 'the files of the probes cannot be written' }]);
  probes.close();
});
