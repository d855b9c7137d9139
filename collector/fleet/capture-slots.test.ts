import { Phase } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { afterAll, expect, test } from 'vitest';
import { until } from '../testing/files.ts';
import { Parties, Rig } from '../testing/rig.ts';

const parties = new Parties();
afterAll(() => parties[Symbol.dispose]());

const names = ['n1', 'n2', 'n3'] as const;

test('no more captures run at once than are allowed; the next gets its turn when one ends, in the order in which they were asked for', async () => {
  await using rig = await Rig.start(parties, { maxCaptures: 1 });
  const operator = rig.operator();
  const agents = names.map((name) => rig.agent(name));
  for (const agent of agents) await agent.attach();
  const ids: string[] = [];
  for (const nodeName of names) {
    const { capture } = await operator.createCapture({ nodeName, reason: 'a test', idempotencyKey: nodeName });
    ids.push(capture?.id ?? '');
  }
  const waiting = async (): Promise<boolean[]> =>
    await Promise.all(
      ids.map(async (captureId) => (await operator.getCapture({ captureId })).capture?.waiting ?? false),
    );
  expect(await waiting()).toEqual([false, true, true]);
  expect(await agents[0]?.ordered()).toBe(ids[0]);
  await operator.cancelCapture({ captureId: ids[0] ?? '' });
  expect(await agents[1]?.ordered()).toBe(ids[1]);
  expect(await waiting()).toEqual([false, false, true]);
  await operator.cancelCapture({ captureId: ids[2] ?? '' });
  expect((await operator.getCapture({ captureId: ids[2] ?? '' })).capture?.phase).toBe(Phase.DONE);
});

test('the time of an order does not run while it waits for its turn', async () => {
  await using rig = await Rig.start(parties, { maxCaptures: 1, orderMs: 2_500 });
  const { operator, captureId } = await rig.ordered('n1');
  const second = rig.agent('n2');
  await second.attach();
  const { capture } = await operator.createCapture({ nodeName: 'n2', reason: 'a test', idempotencyKey: 'n2' });
  // Nobody takes the first order up: it expires, and only then does the second begin to run.
  await rig.done(captureId);
  const id = capture?.id ?? '';
  expect(await second.ordered()).toBe(id);
  expect((await operator.getCapture({ captureId: id })).capture).toMatchObject({
    phase: Phase.REQUESTED,
    waiting: false,
  });
});

test('after a restart the order is kept: an agent that attaches gets what waited longest', async () => {
  await using rig = await Rig.start(parties, { maxCaptures: 1 });
  const { operator, captureId } = await rig.ordered('n1');
  const second = rig.agent('n2');
  await second.attach();
  await operator.createCapture({ nodeName: 'n2', reason: 'a test', idempotencyKey: 'n2' });
  await rig.stopCollector();
  await rig.startCollector();
  const again = rig.agent('n1');
  await until(
    async () =>
      await again.attach().then(
        () => true,
        () => false,
      ),
  );
  expect(await again.ordered()).toBe(captureId);
});
