import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { OutcomeKind } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import type { EvidenceHeader } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AnalysisReport } from '../analysis/analysis.ts';
import { writeReport } from '../analysis/report-file.ts';
import { AuditLog, type AuditRecord } from '../journal/audit-log.ts';
import { StorageJournal } from '../journal/storage-journal.ts';
import { packImage } from '../store/frames/pack.ts';
import { limeImage } from '../testing/lime-image.ts';
import { Parties, Rig } from '../testing/rig.ts';

const parties = new Parties();
const image = limeImage(1, [700_000, 1000]);
let rig: Rig;
let captureId: string;

beforeAll(async () => {
  rig = await Rig.start(parties);
  const { agent, captureId: ordered } = await rig.ordered();
  captureId = ordered;
  const upload = await agent.open(captureId);
  await upload.chunks(image);
  await upload.finish(image);
  await rig.done(captureId);
  const outputDir = join(rig.dataDir, 'evidence', captureId, 'analysis');
  mkdirSync(outputDir, { recursive: true });
  await writeReport(outputDir, report(captureId));
});
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  parties[Symbol.dispose]();
});

const report = (of: string): AnalysisReport => ({
  captureId: of,
  state: 'done',
  reason: '',
  detail: '',
  kernelMismatch: false,
  versions: {},
  isolation: { network: 'none', endsWithCollector: true },
  plugins: [{ name: 'sockets', state: 'empty', reason: '', rowCount: 0, seconds: 1, warnings: [], columns: [] }],
  containers: [],
  diagnostics: [],
  startedAt: '2026-01-01T00:00:00.000Z',
  seconds: 1,
});

async function download(offset = 0n, id = captureId): Promise<{ header: EvidenceHeader | undefined; data: Buffer }> {
  const parts: Buffer[] = [];
  let header: EvidenceHeader | undefined;
  let next = offset;
  for await (const message of rig.operator().downloadEvidence({ captureId: id, offset })) {
    expect(message.offset).toBe(next);
    expect(message.header !== undefined).toBe(parts.length === 0 && header === undefined);
    header ??= message.header;
    parts.push(Buffer.from(message.data));
    next += BigInt(message.data.length);
  }
  return { header, data: Buffer.concat(parts) };
}

/** The audit records of a capture, read while no collector has the database. */
async function records(id = captureId): Promise<AuditRecord[]> {
  await rig.stopCollector();
  const database = new DatabaseSync(join(rig.dataDir, 'kcorder.db'));
  const log = new AuditLog(database);
  expect(log.firstBroken()).toBeUndefined();
  const found = log.of(id);
  database.close();
  await rig.startCollector();
  return found;
}

test('evidence comes as it was stored, its header first, with the manifest byte for byte', async () => {
  const { header, data } = await download();
  expect(data.equals(image)).toBe(true);
  expect(header).toMatchObject({
    size: BigInt(image.length),
    sha256: createHash('sha256').update(image).digest('hex'),
    outcome: { kind: OutcomeKind.COMPLETE },
  });
  expect(Buffer.from(header?.manifest ?? []).equals(rig.evidence(captureId, 'manifest.json'))).toBe(true);
});

test.each([1, 262_144, 262_145, image.length - 1, image.length])('a download goes on from byte %i', async (offset) => {
  const { header, data } = await download(BigInt(offset));
  expect(data.equals(image.subarray(offset))).toBe(true);
  expect(header?.size).toBe(BigInt(image.length));
});

test('past the end there is nothing to download', async () => {
  await expect(download(BigInt(image.length + 1))).rejects.toMatchObject({ code: 'invalid_argument' });
  await expect(download(2n ** 64n - 1n)).rejects.toMatchObject({ code: 'invalid_argument' });
});

test('who reads is on record before the first byte, also when no byte follows', async () => {
  const before = (await records()).length;
  for await (const _ of rig.operator().downloadEvidence({ captureId, offset: 5n })) break;
  const added = (await records()).slice(before);
  expect(added).toMatchObject([{ actor: 'operator/alice', action: 'downloaded', detail: { offset: 5 } }]);
});

test('who reads the results of an analysis is on record too, each plugin once', async () => {
  const before = (await records()).length;
  await rig.operator().getAnalysis({ captureId, rowPlugins: ['sockets', 'sockets'] });
  const added = (await records()).slice(before);
  expect(added).toMatchObject([
    { actor: 'operator/alice', action: 'analysis_read', detail: { rowPlugins: ['sockets'] } },
  ]);
});

test('the names in a request that reads nothing are not on record: those of no plugin, and of a capture without results', async () => {
  const rowPlugins = Array.from({ length: 64 }, () => '\u0001'.repeat(128));
  const before = (await records()).length;
  await expect(rig.operator().getAnalysis({ captureId, rowPlugins })).rejects.toMatchObject({
    code: 'invalid_argument',
  });
  const { operator, captureId: running } = await rig.ordered('n3');
  expect((await operator.getAnalysis({ captureId: running, rowPlugins })).plugins).toEqual([]);
  await operator.cancelCapture({ captureId: running });
  expect(await records()).toHaveLength(before);
  expect((await records(running)).map(({ action }) => action)).not.toContain('analysis_read');
});

test('without a record there is no byte', async () => {
  await rig.stopCollector();
  const refuse = (sql: string) => {
    const database = new DatabaseSync(join(rig.dataDir, 'kcorder.db'));
    database.exec(sql);
    database.close();
  };
  refuse(`CREATE TRIGGER refuse BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'disk full'); END`);
  await rig.startCollector();
  const messages: unknown[] = [];
  await expect(async () => {
    for await (const message of rig.operator().downloadEvidence({ captureId })) messages.push(message);
  }).rejects.toMatchObject({ code: 'storage_failed' });
  expect(messages).toEqual([]);
  await expect(rig.operator().getAnalysis({ captureId })).rejects.toMatchObject({ code: 'storage_failed' });
  await rig.stopCollector();
  refuse('DROP TRIGGER refuse');
  await rig.startCollector();
});

describe('evidence that is packed in the store', () => {
  const large = limeImage(9, [5_000_000, 4_000_000, 700_000]);
  let id: string;
  let path: string;

  beforeAll(async () => {
    const { agent, captureId: ordered } = await rig.ordered('n9');
    id = ordered;
    const upload = await agent.open(id);
    await upload.chunks(large);
    await upload.finish(large);
    await rig.done(id);
    path = join(rig.dataDir, 'evidence', id, 'image.lime');
    const { bytes, crc32c } = await packImage(path, `${path}.zst`, new AbortController().signal);
    const object = { captureId: id, file: 'image.lime.zst', location: `${path}.zst`, bytes, crc32c, generation: '' };
    await change((storage) => void storage.noteStored(id, object, ''));
    rmSync(path, { force: true });
  });

  /** Changes the record while no collector has the database. */
  async function change(body: (storage: StorageJournal, database: DatabaseSync) => void): Promise<void> {
    await rig.stopCollector();
    const database = new DatabaseSync(join(rig.dataDir, 'kcorder.db'));
    body(new StorageJournal(database), database);
    database.close();
    await rig.startCollector();
  }

  test.each([0, 1, (1 << 20) - 1, 1 << 20, (4 << 20) + 5, large.length - 1, large.length])(
    'comes as it was acquired, from byte %i on',
    async (offset) => {
      const { header, data } = await download(BigInt(offset), id);
      expect(data.equals(large.subarray(offset))).toBe(true);
      expect(header).toMatchObject({
        size: BigInt(large.length),
        sha256: createHash('sha256').update(large).digest('hex'),
      });
    },
  );

  test('gives what stands before the damage, and then says which bytes are damaged', async () => {
    const packed = readFileSync(`${path}.zst`);
    const damaged = Buffer.from(packed);
    // Noise does not become smaller: this is in the seventh frame.
    damaged.fill(0xff, 6.5 * 2 ** 20, 6.5 * 2 ** 20 + 4);
    chmodSync(`${path}.zst`, 0o600);
    writeFileSync(`${path}.zst`, damaged);
    let received = 0;
    await expect(async () => {
      for await (const { data } of rig.operator().downloadEvidence({ captureId: id })) received += data.length;
    }).rejects.toMatchObject({ code: 'evidence_damaged', message: expect.stringContaining(`${path}.zst`) });
    expect(received).toBe(6 << 20);
    writeFileSync(`${path}.zst`, packed);
  });

  test('is told as deleted by whom and why, once it is, whatever is left of it', async () => {
    await change((_storage, database) =>
      database.exec(
        `UPDATE storage SET place = 'deleted', deleted_at = '2026-01-01', deleted_by = 'operator/bob', delete_reason = 'a clean-up' WHERE capture_id = '${id}'`,
      ),
    );
    for (const left of [true, false]) {
      if (!left) rmSync(join(rig.dataDir, 'evidence', id), { recursive: true });
      await expect(download(0n, id)).rejects.toMatchObject({
        code: 'evidence_deleted',
        message: expect.stringMatching(/operator\/bob at 2026-01-01 \(a clean-up\)/),
      });
    }
  });
});

test('a capture that runs has nothing to download yet', async () => {
  const agent = rig.agent('n2');
  await agent.attach();
  await rig.operator().createCapture({ nodeName: 'n2', reason: 'a test', idempotencyKey: 'key-2' });
  const id = await agent.ordered();
  await expect(download(0n, id)).rejects.toMatchObject({
    code: 'capture_running',
    message: expect.stringContaining('is requested'),
  });
  await agent.open(id);
  await expect(download(0n, id)).rejects.toMatchObject({
    code: 'capture_running',
    message: expect.stringContaining('is acquiring'),
  });
});

test('evidence that is cut off or gone is told as missing, never as a shorter image', async () => {
  const path = join(rig.dataDir, 'evidence', captureId, 'image.lime');
  chmodSync(path, 0o600);
  truncateSync(path, 500_000);
  await expect(download()).rejects.toMatchObject({
    code: 'evidence_missing',
    message: expect.stringContaining('ends at byte 500000'),
  });
  rmSync(path);
  await expect(download()).rejects.toMatchObject({ code: 'evidence_missing', message: expect.stringContaining(path) });
  rmSync(join(rig.dataDir, 'evidence', captureId, 'manifest.json'));
  await expect(download()).rejects.toMatchObject({
    code: 'evidence_missing',
    message: expect.stringContaining('the manifest of capture'),
  });
});
