import { expect, test } from 'vitest';
import { events as captureEvents } from '../testing/states.ts';
import { Desk, webhook } from './testing/desk.ts';
import { Receiver, status } from './testing/receiver.ts';

test('the same thing is told once, and only to those who asked for it', async () => {
  using all = await Receiver.open(status(200));
  using few = await Receiver.open(status(200));
  await using orders = new Desk();
  orders.use(
    webhook('all', all.url),
    webhook('few', few.url, { events: ['evidence_deleted', 'finding'], minSeverity: 'critical' }),
  );
  for (const captureId of ['c-1', 'c-1', 'c-2']) orders.deleted(captureId);
  orders.notifier.tell({
    kind: 'finding',
    captureId: 'c-1',
    findings: [{ severity: 'info', rule: 'executable_deleted' }],
  });
  for (const _ of [1, 2])
    orders.notifier.tell({
      kind: 'finding',
      captureId: 'c-2',
      findings: [{ severity: 'critical', rule: 'hidden_module' }],
    });
  await all.count(3);
  await few.count(1);
  await all.settle();
  expect(all.received.map(({ json }) => json.event)).toEqual(['evidence_deleted', 'evidence_deleted', 'finding']);
  expect(few.received.map(({ json }) => json.event)).toEqual(['finding']);
});

test('missed runs are joined, and what comes later waits for its turn', async () => {
  using receiver = await Receiver.open(status(200));
  await using orders = new Desk();
  orders.use(webhook('soc', receiver.url));
  for (let nth = 0; nth < 1000; nth += 1)
    orders.notifier.tell({ kind: 'run_missed', schedule: 'nightly', reason: 'node_offline' });
  orders.notifier.tell({ kind: 'run_missed', schedule: 'weekly', reason: 'late' });
  await receiver.count(2);
  for (let nth = 0; nth < 3; nth += 1)
    orders.notifier.tell({ kind: 'run_missed', schedule: 'nightly', reason: 'late' });
  const received = await receiver.count(3);
  expect(received.map(({ json }) => [json.count, json.runs])).toEqual([
    [1000, { schedule: 'nightly', reasons: { node_offline: 1000 } }],
    [1, { schedule: 'weekly', reasons: { late: 1 } }],
    [3, { schedule: 'nightly', reasons: { late: 3 } }],
  ]);
});

test('the end of a capture and a failed analysis are told by themselves', async () => {
  using receiver = await Receiver.open(status(200));
  await using orders = new Desk();
  orders.use(webhook('soc', receiver.url));
  orders.captures.apply('c-1', captureEvents.refused, 'agent');
  const { opened, finished, sealed, analysis_started: started } = captureEvents;
  for (const event of [opened, { ...finished, durableBytes: 100 }, sealed, started])
    orders.captures.apply('c-2', event, 'agent');
  const ending = { kind: 'failed', reason: 'timeout', detail: '' } as const;
  orders.captures.apply('c-2', { ...captureEvents.analysis_ended, ending }, 'collector');
  const received = await receiver.count(3);
  expect(received.map(({ json }) => json.event)).toEqual(['capture_failed', 'capture_complete', 'analysis_failed']);
});

test('what was journaled while nobody could tell is found later and told once; what came before the webhook is not told', async () => {
  using receiver = await Receiver.open(status(200));
  await using orders = new Desk();
  orders.captures.apply('c-1', captureEvents.refused, 'agent');
  orders.use(webhook('soc', receiver.url));
  await orders.notifier.close();
  // As if the collector had been killed between the two changes on disk.
  orders.captures.apply('c-2', captureEvents.expired, 'collector');
  for (let nth = 0; nth < 2; nth += 1) {
    orders.notifier = orders.make();
    orders.use(webhook('soc', receiver.url));
    await receiver.count(1);
    await receiver.settle();
    await orders.notifier.close();
  }
  expect(receiver.received.map(({ json }) => json.capture)).toMatchObject([{ id: 'c-2' }]);
});

test('a disk that takes nothing breaks nobody who tells, and the capture is told when it does again', async () => {
  using receiver = await Receiver.open(status(200));
  await using orders = new Desk();
  orders.use(webhook('soc', receiver.url));
  orders.database.exec(
    `CREATE TRIGGER full BEFORE INSERT ON notifications BEGIN SELECT RAISE(FAIL, 'the disk is full'); END`,
  );
  orders.captures.apply('c-1', captureEvents.refused, 'agent');
  orders.deleted();
  expect(orders.said).toEqual(['not written', 'not written']);
  orders.database.exec('DROP TRIGGER full');
  orders.captures.apply('c-2', captureEvents.refused, 'agent');
  const received = await receiver.count(2);
  expect(received.map(({ json }) => [json.event, json.capture])).toMatchObject([
    ['capture_failed', { id: 'c-1' }],
    ['capture_failed', { id: 'c-2' }],
  ]);
});

test('with nobody to tell, nothing is written', async () => {
  await using orders = new Desk();
  orders.use();
  orders.deleted();
  orders.captures.apply('c-1', captureEvents.refused, 'agent');
  expect([orders.states(), orders.said]).toEqual([[], []]);
});
