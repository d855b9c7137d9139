import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { makeScratch } from '../testing/files.ts';
import { at, evidence, partial, request, states } from '../testing/states.ts';
import { AuditLog } from './audit-log.ts';
import { CaptureJournal } from './capture-journal.ts';
import { CustodyQueue } from './custody-queue.ts';
import { openDatabase } from './database.ts';
import { encode } from './encode.ts';
import { MetricQueries } from './metric-queries.ts';
import { StorageJournal } from './storage-journal.ts';

/** As the second version made it: never to be changed. */
const second = `
  CREATE TABLE nodes (
    uid TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    last_seen_at TEXT NOT NULL,
    agent_version TEXT NOT NULL,
    kernel TEXT NOT NULL,
    preflight TEXT NOT NULL
  ) STRICT;
  CREATE TABLE captures (
    id TEXT PRIMARY KEY,
    node_uid TEXT NOT NULL,
    node_name TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    requested_at TEXT NOT NULL,
    phase TEXT NOT NULL,
    durable_bytes INTEGER NOT NULL DEFAULT 0,
    ceiling_bytes INTEGER NOT NULL,
    request TEXT NOT NULL,
    state TEXT NOT NULL,
    UNIQUE (requested_by, idempotency_key)
  ) STRICT;
  CREATE INDEX captures_by_age ON captures (requested_at DESC, id DESC);
  CREATE INDEX captures_by_phase ON captures (phase);
  CREATE UNIQUE INDEX one_capture_per_node ON captures (node_uid) WHERE phase IN ('requested', 'acquiring');
  CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    capture_id TEXT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL,
    hash TEXT NOT NULL
  ) STRICT;
  CREATE TABLE join_tokens (
    hash TEXT PRIMARY KEY,
    node_name TEXT NOT NULL,
    node_uid TEXT NOT NULL,
    expires_at TEXT NOT NULL
  ) STRICT;
  CREATE TABLE approvals (
    node_name TEXT NOT NULL,
    reason TEXT NOT NULL,
    approved_by TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    PRIMARY KEY (node_name, reason, approved_by)
  ) STRICT;
  PRAGMA user_version = 2;
`;

const canceled = {
  phase: 'done',
  outcome: { kind: 'canceled', by: 'operator/alice' },
  endedAt: at,
  analysis: { kind: 'skipped', reason: 'no_image', detail: 'no memory was acquired' },
} as const;

const captures = {
  'c-done': states.done,
  'c-partial': {
    ...states.done,
    outcome: partial,
    evidence: { ...evidence, bytes: 60, file: 'image.PARTIAL.lime' },
    analysis: { kind: 'skipped', reason: 'image_partial', detail: 'it is not complete' },
  },
  'c-canceled': canceled,
  'c-analyzing': states.analyzing,
  'c-sealing': states.sealing,
  'c-acquiring': states.acquiring,
};

/** A database of the second version with one capture in each place. */
function fill(dir: string): void {
  const database = new DatabaseSync(join(dir, 'kcorder.db'));
  database.exec(second);
  const audit = new AuditLog(database);
  for (const [id, state] of Object.entries(captures)) {
    database
      .prepare('INSERT INTO captures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)')
      .run(
        id,
        `uid-${id}`,
        'n1',
        'operator/alice',
        `key-${id}`,
        at,
        state.phase,
        100,
        1000,
        encode({ ...request, id }),
        encode(state),
      );
    audit.append({ at, captureId: id, actor: 'operator/alice', action: 'requested', detail: { reason: 'a test' } });
  }
  database.close();
}

test('what ended before there was a store is in the spool after the migration, and nothing else of it changes', () => {
  using scratch = makeScratch();
  fill(scratch.dir);
  const database = openDatabase(scratch.dir);
  const [journal, storage, queue] = [
    new CaptureJournal(database),
    new StorageJournal(database),
    new CustodyQueue(database),
  ];
  for (const [id, state] of Object.entries(captures)) expect(journal.get(id).state).toEqual(state);
  expect(journal.audit.firstBroken()).toBeUndefined();
  const spool = {
    place: { kind: 'spool', lastError: '' },
    nodeName: 'n1',
    schedule: '',
    sealedAt: at,
    holds: [],
    damage: '',
  };
  expect(storage.get('c-done')).toMatchObject({ ...spool, complete: true, imageBytes: 100 });
  expect(storage.get('c-partial')).toMatchObject({ ...spool, complete: false, imageBytes: 60 });
  expect(storage.get('c-analyzing')).toMatchObject({ ...spool, complete: true, imageBytes: 100 });
  for (const id of ['c-canceled', 'c-sealing', 'c-acquiring']) expect(storage.get(id)).toBeUndefined();
  expect(
    queue
      .toKeep('9', true, 10)
      .map(({ record }) => record.captureId)
      .sort(),
  ).toEqual(['c-done', 'c-partial']);
  expect(database.prepare('SELECT id, outcome, outcome_reason, ended_at FROM captures ORDER BY id').all()).toEqual([
    { id: 'c-acquiring', outcome: '', outcome_reason: '', ended_at: '' },
    { id: 'c-analyzing', outcome: 'complete', outcome_reason: '', ended_at: at },
    { id: 'c-canceled', outcome: 'canceled', outcome_reason: '', ended_at: at },
    { id: 'c-done', outcome: 'complete', outcome_reason: '', ended_at: at },
    { id: 'c-partial', outcome: 'partial', outcome_reason: 'network_stall', ended_at: at },
    { id: 'c-sealing', outcome: '', outcome_reason: '', ended_at: '' },
  ]);
  database.close();
  // A second start finds nothing to do.
  const again = openDatabase(scratch.dir);
  expect(new MetricQueries(again).places().reduce((sum, { bytes }) => sum + bytes, 0)).toBe(260);
  again.close();
});

test('a capture that was being sealed under the version before gets its place when it is sealed', () => {
  using scratch = makeScratch();
  fill(scratch.dir);
  const database = openDatabase(scratch.dir);
  const [journal, storage] = [new CaptureJournal(database), new StorageJournal(database)];
  journal.apply('c-sealing', { kind: 'sealed', at, evidence, outcome: { kind: 'complete' } }, 'collector');
  expect(storage.get('c-sealing')).toMatchObject({ imageBytes: 100, place: { kind: 'spool' } });
  database.close();
});

test.each([
  ['is no JSON', '{"phase":"done"'],
  ['counts its bytes in words', encode({ ...states.done, evidence: { ...evidence, bytes: 'many' } })],
  ['counts its bytes in fractions', encode({ ...states.done, evidence: { ...evidence, bytes: 1.5 } })],
])('a row of the second version whose state %s does not keep the others from the migration', (_, state) => {
  using scratch = makeScratch();
  fill(scratch.dir);
  const before = new DatabaseSync(join(scratch.dir, 'kcorder.db'));
  before.prepare(`UPDATE captures SET state = ? WHERE id = 'c-partial'`).run(state);
  before.close();
  const database = openDatabase(scratch.dir);
  const storage = new StorageJournal(database);
  expect(storage.get('c-done')).toMatchObject({ imageBytes: 100 });
  expect(storage.get('c-partial')).toBeUndefined();
  const journal = new CaptureJournal(database, undefined, () => undefined);
  const readable = journal.list({ limit: 10 }).map((each) => each.request.id);
  expect(readable.sort()).toEqual(['c-acquiring', 'c-analyzing', 'c-canceled', 'c-done', 'c-sealing']);
  database.close();
});
