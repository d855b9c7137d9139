import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { OutcomeKind } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { afterAll, expect, test } from 'vitest';
import { EvidenceDirectory } from '../evidence/evidence-directory.ts';
import { Acquisitions } from '../ingest/acquisitions.ts';
import { CaptureJournal } from '../journal/capture-journal.ts';
import { openDatabase } from '../journal/database.ts';
import { makeScratch, until } from '../testing/files.ts';
import { limeImage } from '../testing/lime-image.ts';
import { Parties, Rig } from '../testing/rig.ts';
import { events, request } from '../testing/states.ts';
import { startWatchdog } from './watchdog.ts';

const parties = new Parties();
afterAll(() => parties[Symbol.dispose]());

const image = limeImage(1, [400_000]);

test('an order that nobody takes up expires, and the node is free again', async () => {
  await using rig = await Rig.start(parties, { orderMs: 300 });
  const { agent, captureId } = await rig.ordered();
  expect(await rig.done(captureId)).toMatchObject({
    outcome: {
      kind: OutcomeKind.FAILED,
      reason: 'order_expired',
      detail: 'the agent of node n1 did not take up the order within 0.3 s',
    },
    analysis: { reason: 'no_image' },
  });
  expect((await agent.open(captureId)).fault).toMatchObject({ code: 'capture_ended' });
  await rig.operator().createCapture({ nodeName: 'n1', reason: 'a test', idempotencyKey: 'another key' });
});

test('an upload that stands still for too long, connected or not: partial, and what was acknowledged is kept', async () => {
  await using rig = await Rig.start(parties, { stallMs: 300 });
  const { agent, captureId } = await rig.ordered();
  const upload = await agent.open(captureId);
  await upload.chunks(image, 0, 300_000);
  await upload.acknowledged(300_000);
  const capture = await rig.done(captureId);
  expect(capture).toMatchObject({
    outcome: { kind: OutcomeKind.PARTIAL, reason: 'network_stall' },
    durableBytes: 300_000n,
  });
  expect(capture.outcome?.detail).toMatch(/^no byte became durable for \d+ s$/);
  expect(await upload.ended()).toMatchObject({ code: 'capture_ended' });
  expect(rig.evidence(captureId, 'image.PARTIAL.lime').equals(image.subarray(0, 300_000))).toBe(true);
});

test('an agent that never comes back after a restart of the collector: the stall counts from the restart', async () => {
  await using rig = await Rig.start(parties);
  const { agent, captureId } = await rig.ordered();
  const upload = await agent.open(captureId);
  await upload.chunks(image, 0, 300_000);
  await upload.acknowledged(300_000);
  await rig.stopCollector();
  await rig.startCollector({ stallMs: 300 });
  expect(await rig.done(captureId)).toMatchObject({ outcome: { kind: OutcomeKind.PARTIAL, reason: 'network_stall' } });
});

test('a stalled acquisition without a byte has failed, and leaves nothing', async () => {
  await using rig = await Rig.start(parties, { stallMs: 300 });
  const { agent, captureId } = await rig.ordered();
  await agent.open(captureId);
  expect(await rig.done(captureId)).toMatchObject({ outcome: { kind: OutcomeKind.FAILED, reason: 'network_stall' } });
  expect(() => rig.evidence(captureId, 'image.part')).toThrow('ENOENT');
});

test('a capture that cannot be sealed keeps no others waiting, is reported each time, and ends with its reason', async () => {
  using scratch = makeScratch();
  const database = openDatabase(scratch.dir);
  const journal = new CaptureJournal(database);
  const acquisitions = new Acquisitions(journal, new EvidenceDirectory(scratch.dir), '0.1.0');
  journal.create({ ...request, id: 'c-1', requestedAt: '2026-01-01T00:00:00.000Z' }, 'key-1', 10_000);
  journal.apply('c-1', events.opened, 'node/n1');
  journal.advance('c-1', 100);
  journal.apply('c-1', events.canceled, 'operator/alice');
  // A file where its directory should be.
  mkdirSync(join(scratch.dir, 'evidence'));
  writeFileSync(join(scratch.dir, 'evidence', 'c-1'), '');
  const node = { name: 'n2', uid: 'uid-n2' };
  journal.create({ ...request, id: 'c-2', node, requestedAt: '2026-01-02T00:00:00.000Z' }, 'key-2', 10_000);
  const reported: unknown[] = [];
  const stop = startWatchdog({
    journal,
    acquisitions,
    timeouts: { stallMs: 1000, orderMs: 1 },
    slots: { waits: () => false, give: () => undefined },
    report: (error) => reported.push(error),
  });
  await until(() => journal.get('c-2').state.phase === 'done');
  await until(() => journal.get('c-1').state.phase === 'done');
  expect(reported.length).toBe(4);
  expect(journal.get('c-1').state).toMatchObject({
    outcome: {
      kind: 'failed',
      reason: 'storage_failed',
      detail: expect.stringMatching(/could not be sealed in 5 attempts \(Error: EEXIST.*100 bytes lie unsealed in /),
    },
  });
  stop();
  database.close();
});

test('a capture that cannot be read from the database is set aside: its node is free, and so is its slot', async () => {
  using scratch = makeScratch();
  using database = openDatabase(scratch.dir);
  const journal = new CaptureJournal(database);
  journal.create({ ...request, id: 'c-1' }, 'key-1', 10_000);
  journal.apply('c-1', events.opened, 'node/n1');
  database.exec(`UPDATE captures SET state = json_remove(state, '$.start')`);
  const reported: unknown[] = [];
  const given: unknown[] = [];
  const stop = startWatchdog({
    journal,
    acquisitions: new Acquisitions(journal, new EvidenceDirectory(scratch.dir), '0.1.0'),
    timeouts: { stallMs: 900_000, orderMs: 900_000 },
    slots: { waits: () => false, give: () => void given.push(journal.underway()) },
    report: (error) => reported.push(error),
  });
  expect(await until(() => given[0])).toEqual([]);
  expect(reported).toEqual([expect.objectContaining({ code: 'database_unusable' })]);
  journal.create({ ...request, id: 'c-2' }, 'key-2', 10_000);
  stop();
});
