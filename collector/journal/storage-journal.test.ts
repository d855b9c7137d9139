import type { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { expired } from '../custody/retention.ts';
import { makeScratch } from '../testing/files.ts';
import { end, events, evidence, request } from '../testing/states.ts';
import { AuditLog } from './audit-log.ts';
import { CaptureJournal } from './capture-journal.ts';
import { CustodyQueue } from './custody-queue.ts';
import { openDatabase } from './database.ts';
import { MetricQueries } from './metric-queries.ts';
import { custodyActions, StorageJournal } from './storage-journal.ts';

interface Opened extends Disposable {
  readonly database: DatabaseSync;
  readonly journal: CaptureJournal;
  readonly storage: StorageJournal;
  readonly queue: CustodyQueue;
}

function open(): Opened {
  const scratch = makeScratch();
  const database = openDatabase(scratch.dir);
  return {
    database,
    journal: new CaptureJournal(database),
    storage: new StorageJournal(database),
    queue: new CustodyQueue(database),
    [Symbol.dispose]: () => {
      database.close();
      scratch[Symbol.dispose]();
    },
  };
}

/** A capture that is sealed at a second of one minute, and done unless it waits for its analysis. */
function seal({ journal }: Opened, id: string, second = 0, done = true, node = 'n1'): void {
  const at = `2026-01-01T00:00:${String(second).padStart(2, '0')}.000Z`;
  journal.create({ ...request, id, node: { name: node, uid: `uid-${node}` } }, `key-${id}`, 10_000);
  journal.apply(id, events.opened, 'node/n1');
  journal.advance(id, 100);
  journal.apply(id, { ...events.finished, end }, 'node/n1');
  journal.apply(id, { ...events.sealed, at }, 'collector');
  if (done) journal.apply(id, { ...events.analysis_ended, at }, 'collector');
}

const object = (captureId: string) => ({
  captureId,
  file: 'image.lime.zst',
  location: `gs://bucket/captures/${captureId}/image.lime.zst`,
  bytes: 40,
  crc32c: '01234567',
  generation: '17',
});

const actions = ({ database }: Opened, id: string) => new AuditLog(database).of(id).map(({ action }) => action);

test('a sealed image is in the spool, then where it was stored, then deleted; each step is in the audit log, whose chain holds', () => {
  using opened = open();
  const { storage, database } = opened;
  seal(opened, 'c-1');
  expect(storage.get('c-1')).toEqual({
    captureId: 'c-1',
    nodeName: 'n1',
    schedule: '',
    sealedAt: '2026-01-01T00:00:00.000Z',
    complete: true,
    imageBytes: 100,
    place: { kind: 'spool', lastError: '' },
    holds: [],
    damage: '',
    manifestSha256: '',
  });
  storage.noteLastError('c-1', 'the bucket is not there');
  expect(storage.get('c-1')?.place).toEqual({ kind: 'spool', lastError: 'the bucket is not there' });
  expect(storage.noteStored('c-1', object('c-1'), 'ab')).toBe(true);
  storage.noteVerified('c-1', 'collector');
  expect(storage.get('c-1')).toMatchObject({
    place: { kind: 'store', object: object('c-1') },
    manifestSha256: 'ab',
    verifiedAt: expect.stringMatching(/^\d{4}-/),
  });
  storage.noteDamage('c-1', 'a byte differs', 'operator/alice');
  expect(storage.get('c-1')?.damage).toBe('a byte differs');
  storage.beginDeletion('c-1', 'operator/alice', 'not needed');
  const tombstone = { kind: 'deleted', by: 'operator/alice', reason: 'not needed', at: expect.any(String) };
  expect(storage.get('c-1')?.place).toEqual({ ...tombstone, left: 'being removed' });
  storage.noteDeleted('c-1');
  expect(storage.get('c-1')?.place).toEqual({ ...tombstone, left: '' });
  const custody = ['stored', 'verified', 'flaw_found', 'deletion_begun', 'deleted'];
  expect(actions(opened, 'c-1').filter((action) => (custodyActions as readonly string[]).includes(action))).toEqual(
    custody,
  );
  expect(new AuditLog(database).firstBroken()).toBeUndefined();
});

test('what was deleted meanwhile is not noted as stored, and can be taken up no more', () => {
  using opened = open();
  const { storage, queue } = opened;
  seal(opened, 'c-1');
  storage.beginDeletion('c-1', 'operator/alice', 'not needed');
  expect(storage.noteStored('c-1', object('c-1'), 'ab')).toBe(false);
  expect(queue.toKeep('9', true, 10)).toEqual([]);
  expect(queue.toRemove()).toEqual(['c-1']);
  expect(actions(opened, 'c-1')).not.toContain('stored');
  expect(() => storage.hold('c-1', 'operator/bob', 'evidence of a crime')).toThrow(
    expect.objectContaining({ code: 'evidence_deleted', message: expect.stringContaining('operator/alice') }),
  );
});

test.each([
  { sentence: 'in the spool', stored: false },
  { sentence: 'in the store', stored: true },
])('a deletion that the store refuses puts the image back where it was: $sentence', ({ stored }) => {
  using opened = open();
  const { storage } = opened;
  seal(opened, 'c-1');
  if (stored) storage.noteStored('c-1', object('c-1'), 'ab');
  const before = storage.get('c-1');
  storage.beginDeletion('c-1', 'operator/alice', 'not needed');
  storage.withdrawDeletion('c-1', 'the bucket keeps it');
  expect(storage.get('c-1')).toEqual(before);
  storage.withdrawDeletion('c-1', 'again');
  expect(actions(opened, 'c-1').filter((action) => action === 'deletion_withdrawn')).toHaveLength(1);
});

test('what is on hold cannot be deleted until every hold is taken away', () => {
  using opened = open();
  const { storage } = opened;
  seal(opened, 'c-1');
  storage.hold('c-1', 'operator/alice', 'evidence of a crime');
  storage.hold('c-1', 'operator/bob', 'mine too');
  const remove = () => storage.beginDeletion('c-1', 'operator/carol', 'space');
  expect(remove).toThrow(expect.objectContaining({ code: 'evidence_held' }));
  expect(remove).toThrow('on hold by operator/alice (evidence of a crime)');
  expect(storage.get('c-1')?.holds.map(({ by }) => by)).toEqual(['operator/alice', 'operator/bob']);
  expect(storage.release('c-1', 'operator/carol', 'the case is closed').holds).toEqual([]);
  storage.release('c-1', 'operator/carol', 'twice');
  expect(actions(opened, 'c-1').filter((action) => action === 'released')).toHaveLength(1);
  remove();
  remove();
  expect(actions(opened, 'c-1').filter((action) => action === 'deletion_begun')).toHaveLength(1);
});

test('whoever holds as often as they like, or did in an earlier version, cannot keep others from releasing and deleting', () => {
  using opened = open();
  const { storage, database } = opened;
  seal(opened, 'c-1');
  const reason = `x${'\u0001'.repeat(1023)}`;
  const hold = () => storage.hold('c-1', 'operator/mallory', reason);
  for (let i = 0; i < 16; i += 1) hold();
  expect(hold).toThrow(expect.objectContaining({ code: 'resource_exhausted' }));
  expect(hold).toThrow('already has 16 holds');
  expect(actions(opened, 'c-1').filter((action) => action === 'held')).toHaveLength(16);
  const insert = database.prepare('INSERT INTO holds SELECT * FROM holds LIMIT 16');
  for (let i = 0; i < 60; i += 1) insert.run();
  expect(storage.get('c-1')?.holds).toHaveLength(16);
  expect(storage.release('c-1', 'operator/carol', 'closed').holds).toEqual([]);
  const detail = { reason: 'closed', holds: 976, holdsSha256: expect.stringMatching(/^[0-9a-f]{64}$/) };
  expect(new AuditLog(database).of('c-1').at(-1)).toMatchObject({ action: 'released', detail });
  storage.beginDeletion('c-1', 'operator/carol', 'space');
});

test('what waits for its analysis cannot be deleted, and is not deletable for retention', () => {
  using opened = open();
  const { storage, queue } = opened;
  seal(opened, 'c-1', 0, false);
  expect(() => storage.beginDeletion('c-1', 'operator/alice', 'space')).toThrow(
    expect.objectContaining({ code: 'capture_running' }),
  );
  expect(queue.madeBy('', 'n1').map(({ deletable }) => deletable)).toEqual([false]);
});

test('retention sees who made what, and whether it may be deleted', () => {
  using opened = open();
  const { storage, queue } = opened;
  seal(opened, 'c-1', 1);
  seal(opened, 'c-2', 2);
  seal(opened, 'c-3', 3, true, 'n2');
  storage.hold('c-2', 'operator/alice', 'keep');
  expect(queue.makers()).toEqual([
    { schedule: '', nodeName: 'n1' },
    { schedule: '', nodeName: 'n2' },
  ]);
  expect(queue.madeBy('', 'n1').map(({ captureId, deletable }) => [captureId, deletable])).toEqual([
    ['c-1', true],
    ['c-2', false],
  ]);
  storage.beginDeletion('c-3', 'retention', 'old');
  expect(queue.makers()).toEqual([{ schedule: '', nodeName: 'n1' }]);
});

test('the keeper takes the oldest that is done, and what waits for its analysis only if asked for', () => {
  using opened = open();
  const { queue, journal } = opened;
  seal(opened, 'c-2', 2);
  seal(opened, 'c-1', 1, false);
  seal(opened, 'c-3', 3);
  const ids = (by: string, waitingToo: boolean) =>
    queue.toKeep(by, waitingToo, 10).map(({ record }) => record.captureId);
  expect(ids('2026-01-01T00:00:09.000Z', false)).toEqual(['c-2', 'c-3']);
  expect(ids('2026-01-01T00:00:09.000Z', true)).toEqual(['c-1', 'c-2', 'c-3']);
  expect(ids('2026-01-01T00:00:02.000Z', true)).toEqual(['c-1', 'c-2']);
  journal.apply('c-1', events.analysis_started, 'collector');
  expect(ids('2026-01-01T00:00:09.000Z', true)).toEqual(['c-2', 'c-3']);
  opened.database.exec(`UPDATE storage SET sealed_at = '2099-01-01T00:00:00.000Z' WHERE capture_id = 'c-3'`);
  expect(ids('2026-01-01T00:00:00.000Z', false)).toEqual(['c-3']);
  expect(queue.toKeep('9', false, 1)[0]).toMatchObject({ evidence, outcome: { kind: 'complete' } });
});

test('the image that was not looked at for the longest time is verified next, a damaged one too in its turn', () => {
  using opened = open();
  const { storage, queue } = opened;
  for (const [index, id] of ['c-1', 'c-2', 'c-3'].entries()) {
    seal(opened, id, index);
    if (id !== 'c-3') storage.noteStored(id, object(id), '');
  }
  const next = (except: string[] = [], by = '9') => queue.toVerify(by, new Set(except))?.record.captureId;
  expect(next()).toBe('c-1');
  expect(next(['c-1'])).toBe('c-2');
  expect(next(['c-1', 'c-2'])).toBeUndefined();
  expect(next([], '2025')).toBeUndefined();
  storage.noteDamage('c-1', 'a byte differs', 'collector');
  expect(next()).toBe('c-2');
  storage.noteVerified('c-2', 'collector');
  expect(next()).toBe('c-1');
  storage.noteVerified('c-1', 'collector');
  expect(storage.get('c-1')?.damage).toBe('');
});

test('sums count what is there, a begun deletion until it is finished', () => {
  using opened = open();
  const { storage, database } = opened;
  const queries = new MetricQueries(database);
  seal(opened, 'c-1');
  seal(opened, 'c-2', 1, true, 'n2');
  storage.noteStored('c-2', object('c-2'), '');
  const kept = () => queries.places().reduce((sum, { bytes }) => sum + bytes, 0);
  expect(kept()).toBe(140);
  storage.beginDeletion('c-1', 'operator/alice', 'space');
  expect(kept()).toBe(140);
  storage.noteDeleted('c-1');
  expect(kept()).toBe(40);
});

test.each([
  { sentence: 'no such capture', id: 'c-9', code: 'capture_unknown' },
  { sentence: 'one that is running', id: 'c-1', code: 'capture_running' },
  { sentence: 'one without an image', id: 'c-2', code: 'evidence_missing' },
])('of $sentence there is nothing to hold, to release or to delete: $code', ({ id, code }) => {
  using opened = open();
  const { journal, storage } = opened;
  journal.create({ ...request, id: 'c-2' }, 'key-2', 10_000);
  journal.apply('c-2', events.canceled, 'operator/alice');
  journal.create({ ...request, id: 'c-1' }, 'key-1', 10_000);
  for (const act of [
    () => storage.hold(id, 'operator/alice', 'x'),
    () => storage.release(id, 'operator/alice', 'x'),
    () => storage.beginDeletion(id, 'operator/alice', 'x'),
    () => storage.sealed(id),
  ])
    expect(act).toThrow(expect.objectContaining({ code }));
});

test('an event whose audit record cannot be written has not happened', () => {
  using opened = open();
  const { storage, database } = opened;
  seal(opened, 'c-1');
  const before = storage.get('c-1');
  database.exec(`CREATE TRIGGER refuse BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END`);
  for (const act of [
    () => storage.noteStored('c-1', object('c-1'), ''),
    () => storage.noteVerified('c-1', 'collector'),
    () => storage.noteDamage('c-1', 'x', 'collector'),
    () => storage.hold('c-1', 'operator/alice', 'x'),
    () => storage.beginDeletion('c-1', 'operator/alice', 'x'),
  ])
    expect(act).toThrow(expect.objectContaining({ code: 'storage_failed' }));
  expect(storage.get('c-1')).toEqual(before);
});

test('whoever deletes a schedule and makes one of its name has none of its evidence deleted', () => {
  using opened = open();
  const { journal, queue, database } = opened;
  for (const second of [1, 2, 3]) seal(opened, `c-${second}`, second);
  database.exec(`UPDATE storage SET schedule = 'hourly'`);
  const madeBy = queue.madeBy('hourly', 'n1');
  expect(madeBy.map(({ requestedAt }) => requestedAt)).toEqual(Array(3).fill(journal.get('c-1').request.requestedAt));
  const gone = (since: string) =>
    expired(madeBy, { schedules: new Map([['hourly', { keepLast: 1, since }]]), retentionMs: 1 }, Date.now());
  expect(gone('2026-01-01T00:00:00.000Z').map(({ captureId }) => captureId)).toEqual(['c-1', 'c-2']);
  expect(gone('2026-01-01T00:00:00.001Z')).toEqual([]);
});
