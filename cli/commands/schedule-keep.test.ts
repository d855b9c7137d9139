import { Fault } from '@kcorder/proto/fault.ts';
import { RunState } from '@kcorder/proto/gen/kcorder/v1/schedule_pb.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Certificates, makeCertificates, startCollector } from '../fixtures/collector.ts';
import { runCommand, type Surroundings } from '../fixtures/command.ts';
import { pausedOf, runsOf, scheduleOf } from '../fixtures/lab-schedule.ts';

let certificates: Certificates;
beforeAll(() => {
  certificates = makeCertificates();
});
afterAll(() => certificates[Symbol.dispose]());

type Handlers = Parameters<typeof startCollector>[1];

const hostile = 'sh\x1b[2Jop\u202e';

async function kcorder(words: readonly string[] | string, handlers: Handlers = {}, surroundings: Surroundings = {}) {
  await using collector = await startCollector(certificates, handlers);
  const environment = { KCORDER_COLLECTOR: collector.address, KCORDER_TLS_DIR: certificates.operatorDir };
  const args = typeof words === 'string' ? words.split(' ') : words;
  return await runCommand(['schedule', ...args], { environment, ...surroundings });
}

test('pause and resume are told to the collector, and say what it means', async () => {
  const seen: string[] = [];
  const handlers: Handlers = {
    pauseSchedule: async ({ name }) => {
      seen.push(`pause ${name}`);
      return { schedule: pausedOf() };
    },
    resumeSchedule: async ({ name }) => {
      seen.push(`resume ${name}`);
      return { schedule: scheduleOf() };
    },
  };
  const paused = await kcorder('pause nightly', handlers);
  const resumed = await kcorder('resume shop', handlers);
  expect(seen).toEqual(['pause nightly', 'resume shop']);
  expect(paused.stderr).toBe(
    'Schedule nightly is paused: its ticks are recorded as skipped. `kcorder schedule resume nightly` ends that.\n',
  );
  expect(paused.stdout).toContain('\npaused       by bob\n');
  expect(resumed.stderr).toBe('Schedule shop goes on. Its next tick is at 2026-11-23 00:00:00 UTC.\n');
  expect(JSON.parse((await kcorder('pause nightly -o json', handlers)).stdout)).toMatchObject({ pausedBy: 'bob' });
});

const roundOf = (...states: RunState[]): Handlers => ({
  triggerSchedule: async () => ({ runs: states.map((state) => ({ schedule: 'shop', nodeName: 'lab-1', state })) }),
});

test('trigger makes one round, each time with a key of its own', async () => {
  const keys: string[] = [];
  const triggerSchedule: NonNullable<Handlers['triggerSchedule']> = async ({ name, idempotencyKey }) => {
    keys.push(`${name} ${idempotencyKey}`);
    return { runs: runsOf().slice(0, 3) };
  };
  const ran = await kcorder('trigger shop', { triggerSchedule });
  await kcorder('trigger shop', { triggerSchedule });
  await kcorder('trigger shop --idempotency-key k1', { triggerSchedule });
  expect(keys[0]).toMatch(/^shop [0-9a-f-]{36}$/);
  expect(new Set(keys).size).toBe(3);
  expect(keys[2]).toBe('shop k1');
  expect(ran.stdout).toMatch(/^TICK .*\n2026-11-22 18:01:00 +lab-1 +running +- +0193a5c2d8 +by hand\n/);
  expect(ran.stderr).toBe('2 of 3 begun. `kcorder schedule runs shop` shows how they stand.\n');
  expect(ran.exit).toBe(0);
});

test.each([
  ['fits no node', [], 1, 'warning: no node is captured: schedule shop fits none\n'],
  [
    'is skipped everywhere',
    [RunState.SKIPPED, RunState.MISSED],
    1,
    'warning: no node is captured: the table says why\n',
  ],
  [
    'waits on one node',
    [RunState.SKIPPED, RunState.WAITING],
    0,
    '1 of 2 begun. `kcorder schedule runs shop` shows how they stand.\n',
  ],
])('a round that %s', async (_what, states, exit, stderr) => {
  const ran = await kcorder('trigger shop', roundOf(...states));
  expect(ran.stderr).toBe(stderr);
  expect(ran.exit).toBe(exit);
  expect(JSON.parse((await kcorder('trigger shop -o json', roundOf(...states))).stdout).runs).toHaveLength(
    states.length,
  );
});

test('a round of which the answer was lost can be asked for again with its key', async () => {
  await using collector = await startCollector(certificates, {
    triggerSchedule: async () => {
      collector.kill();
      return {};
    },
  });
  const way = ['--collector', collector.address, '--tls-dir', certificates.operatorDir];
  const ran = await runCommand(['schedule', 'trigger', 'shop', '--idempotency-key', 'k1', ...way]);
  expect(ran.stderr).toMatch(
    /^Whether a round of schedule shop began is not known\. Repeat with --idempotency-key k1: it is not made twice\.\nkcorder: /,
  );
  expect(ran.exit).not.toBe(0);
});

function deletions() {
  const seen: string[] = [];
  const deleteSchedule: NonNullable<Handlers['deleteSchedule']> = async ({ name }) => {
    seen.push(name);
    return {};
  };
  return { seen, handlers: { deleteSchedule } };
}

test('delete asks on a terminal', async () => {
  const { seen, handlers } = deletions();
  const no = await kcorder('delete shop', handlers, { columns: 120, answer: 'n' });
  expect(no.stderr).toBe('Delete schedule shop? Its captures stay. [y/N] kcorder: nothing was deleted.\n');
  expect(no.exit).toBe(130);
  expect(seen).toEqual([]);
  const yes = await kcorder('delete shop', handlers, { columns: 120, answer: 'y' });
  expect(yes.stdout).toBe('schedule shop deleted\n');
  expect(yes.exit).toBe(0);
  expect(seen).toEqual(['shop']);
});

test('delete needs --yes where nobody can be asked', async () => {
  const { seen, handlers } = deletions();
  const without = await kcorder('delete shop', handlers);
  expect(without.stderr).toBe('kcorder: schedule shop was not deleted. Repeat with --yes.\n');
  expect(without.exit).toBe(2);
  expect(seen).toEqual([]);
  const ran = await kcorder('delete shop --yes -o json', handlers);
  expect(JSON.parse(ran.stdout)).toEqual({ deleted: 'shop' });
  expect(ran.stderr).toBe(
    'Its captures and the record of its runs stay. No schedule deletes them by age or number, not even one of the same name.\n',
  );
  expect(ran.exit).toBe(0);
});

test.each([
  ['schedule_unknown', 'get nope', 1],
  ['schedule_exists', 'create shop --cron @daily', 1],
  ['invalid_argument', 'create shop --cron soon', 2],
  ['schedule_configured', 'pause nightly', 1],
  ['schedule_configured', 'resume nightly', 1],
  ['schedule_unknown', 'trigger nope', 1],
  ['schedule_configured', 'delete nightly --yes', 1],
  ['permission_denied', 'runs', 1],
] as const)("the fault %s ends kcorder schedule %s in the collector's words", async (code, line, exit) => {
  const refuse = () => Promise.reject(new Fault(code, `this is ${code} of ${hostile}`));
  const ran = await kcorder(line, {
    getSchedule: refuse,
    createSchedule: refuse,
    pauseSchedule: refuse,
    resumeSchedule: refuse,
    triggerSchedule: refuse,
    deleteSchedule: refuse,
    listRuns: refuse,
  });
  expect(ran).toEqual({ exit, stdout: '', stderr: `kcorder: this is ${code} of sh\\x1b[2Jop\\u202e.\n` });
});

test.each(['get', 'get shop', 'runs', 'create shop --cron @daily', 'pause shop', 'trigger shop', 'delete shop --yes'])(
  'a collector that is older than schedules is named as such: kcorder schedule %s',
  async (line) => {
    await using collector = await startCollector(certificates, {}, { old: true });
    const environment = { KCORDER_COLLECTOR: collector.address, KCORDER_TLS_DIR: certificates.operatorDir };
    const ran = await runCommand(['schedule', ...line.split(' ')], { environment });
    expect(ran.stderr).toMatch(
      /kcorder: the collector at .* does not know this command\. Is it older than this program\?/,
    );
    expect(ran.exit).toBe(1);
  },
);

test('an answer without its schedule is a defect of the collector', async () => {
  const ran = await kcorder('get shop', { getSchedule: async () => ({}) });
  expect(ran.stderr).toBe('kcorder: the collector answered without schedule shop. Report it.\n');
  expect(ran.exit).toBe(1);
});
