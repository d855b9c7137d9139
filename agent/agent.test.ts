import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type FakeAvml, makeFakeAvml } from './testing/fake-avml.ts';
import { Rig, until } from './testing/rig.ts';

const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('hex');

test('an ordered capture arrives whole, with its hash and the facts of its acquisition', async () => {
  await using rig = new Rig();
  const avml = makeFakeAvml(rig.dir, 5_000_001);
  await rig.start(avml);
  rig.collector.order('c-1');
  await until(() => rig.collector.sealed);
  expect(rig.collector.image.equals(avml.image)).toBe(true);
  expect(rig.collector.finish).toMatchObject({
    bytes: 5_000_001n,
    exitCode: 0,
    signal: '',
    stderrTail: '',
    canceled: false,
  });
  expect(hex(rig.collector.finish?.sha256)).toBe(createHash('sha256').update(avml.image).digest('hex'));
  expect(rig.collector.opens).toHaveLength(1);
  expect(rig.collector.opens[0]).toMatchObject({
    captureId: 'c-1',
    attempt: 1,
    heldFrom: 0n,
    start: {
      acquirer: { name: 'avml', version: '0.21.0', sha256: avml.sha256 },
      argv: ['avml', 'acquire', '--source', join(rig.dir, 'system/kcore'), expect.stringContaining(rig.runDir)],
      bootId: '0f2ac1c2-5c4b-4f0e-9d0e-0123456789ab',
      leftOutMemory: [{ kind: 'virtio_mem', bytes: 1n << 30n }],
      containers: [{ podNamespace: 'demo', podName: 'web-0', podUid: '6f1e', containerName: 'nginx' }],
    },
  });
  expect(rig.collector.answers).toMatchObject([{ captureId: 'c-1', refusals: [] }]);
  await until(() => rig.saw('evidence sealed'));
  expect(rig.fifos()).toEqual([]);
});

/** Runs the agent as a process of its own, in the middle of a capture; returns it and the processes that it started. */
async function startProcess(rig: Rig, avml: FakeAvml, agentPath: string) {
  await rig.collector.start();
  const child = spawn(process.execPath, [agentPath, rig.dir], {
    env: { PATH: process.env.PATH, ...rig.environment(avml) },
    stdio: ['ignore', 'ignore', 'ignore'],
  });
  const ended = new Promise<unknown>((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code)));
  await until(() => rig.collector.hellos.length > 0);
  rig.collector.order('c-1');
  await until(() => rig.collector.image.length > 1 << 20);
  const { pid = 0 } = child;
  const avmlPids = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
  expect(avmlPids).toHaveLength(1);
  return { child, ended, avmlPids };
}

const lives = (pid: number): boolean => {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};

const agentProcess = join(import.meta.dirname, 'testing/agent-process.ts');
const endless = 'exec cat /dev/zero > "$FIFO"';

test('AVML does not outlive an agent that is killed with SIGKILL', async () => {
  await using rig = new Rig();
  const { child, ended, avmlPids } = await startProcess(rig, makeFakeAvml(rig.dir, 1, endless), agentProcess);
  child.kill('SIGKILL');
  expect(await ended).toBe('SIGKILL');
  await until(() => !avmlPids.some(lives));
  await sleep(50);
  expect(rig.collector.finish).toBeUndefined();
});

test('SIGTERM in mid-capture: AVML is ended, the collector is told, the exit code is 0', async () => {
  await using rig = new Rig();
  const { child, ended, avmlPids } = await startProcess(rig, makeFakeAvml(rig.dir, 1, endless), agentProcess);
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
  expect(avmlPids.some(lives)).toBe(false);
  expect(rig.collector.finish).toMatchObject({ signal: 'SIGKILL', canceled: false });
});

test.each([
  ['an unknown setting', { KCORDER_SURPRISE: '1' }, 'KCORDER_SURPRISE: unknown'],
  ['no collector', { KCORDER_COLLECTOR: '' }, 'KCORDER_COLLECTOR: "" is not host:port'],
])('main.ts with %s says so and exits with 2', async (_, change, message) => {
  await using rig = new Rig();
  const environment = { PATH: process.env.PATH, ...rig.environment(makeFakeAvml(rig.dir, 1)), ...change };
  const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts')], { env: environment, stdio: 'pipe' });
  let said = '';
  child.stderr.on('data', (data) => {
    said += data;
  });
  expect(await new Promise((resolve) => child.once('close', resolve))).toBe(2);
  expect(said).toContain(message);
});
