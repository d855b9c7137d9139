// Why it is done this way: docs/decisions/005-journal-folder.md

import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Fault } from '@kcorder/proto/fault.ts';
import { isLost } from './lost.ts';
import { addChecks, setViolationsAside } from './quarantine.ts';

/** What each version added to the one before: the first entry makes version 1. */
const steps: readonly (string | ((database: DatabaseSync) => void))[] = [
  `
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
`,
  `
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
`,
  `
  ALTER TABLE captures ADD COLUMN schedule TEXT NOT NULL DEFAULT '';
  ALTER TABLE captures ADD COLUMN outcome TEXT NOT NULL DEFAULT '';
  ALTER TABLE captures ADD COLUMN outcome_reason TEXT NOT NULL DEFAULT '';
  ALTER TABLE captures ADD COLUMN ended_at TEXT NOT NULL DEFAULT '';
  UPDATE captures SET
    outcome = coalesce(json_extract(state, '$.outcome.kind'), ''),
    outcome_reason = coalesce(json_extract(state, '$.outcome.reason'), ''),
    ended_at = json_extract(state, '$.endedAt')
    WHERE CASE WHEN json_valid(state) THEN json_extract(state, '$.endedAt') IS NOT NULL ELSE 0 END;
  ALTER TABLE captures ADD COLUMN progress_at TEXT NOT NULL DEFAULT '';
  CREATE INDEX captures_by_schedule ON captures (schedule, node_name, outcome, ended_at, outcome_reason);
  CREATE TABLE storage (
    sequence INTEGER PRIMARY KEY,
    capture_id TEXT NOT NULL UNIQUE,
    node_name TEXT NOT NULL,
    schedule TEXT NOT NULL,
    sealed_at TEXT NOT NULL,
    complete INTEGER NOT NULL,
    image_bytes INTEGER NOT NULL,
    place TEXT NOT NULL DEFAULT 'spool',
    trouble TEXT NOT NULL DEFAULT '',
    file TEXT NOT NULL DEFAULT '',
    location TEXT NOT NULL DEFAULT '',
    stored_bytes INTEGER NOT NULL,
    crc32c TEXT NOT NULL DEFAULT '',
    generation TEXT NOT NULL DEFAULT '',
    manifest_sha256 TEXT NOT NULL DEFAULT '',
    leftovers INTEGER NOT NULL DEFAULT 0,
    verified_at TEXT NOT NULL DEFAULT '',
    checked_at TEXT NOT NULL DEFAULT '',
    flaw TEXT NOT NULL DEFAULT '',
    deleted_at TEXT NOT NULL DEFAULT '',
    deleted_by TEXT NOT NULL DEFAULT '',
    delete_reason TEXT NOT NULL DEFAULT ''
  ) STRICT;
  CREATE INDEX storage_by_place ON storage (place, sealed_at, verified_at, stored_bytes, trouble, flaw);
  CREATE INDEX storage_by_maker ON storage (place, schedule, node_name, sequence);
  CREATE INDEX storage_by_node ON storage (node_name, place, stored_bytes) WHERE place <> 'deleted';
  CREATE INDEX storage_to_verify ON storage (place, max(sealed_at, checked_at));
  CREATE INDEX storage_to_tidy ON storage (place, leftovers);
  INSERT INTO storage (capture_id, node_name, schedule, sealed_at, complete, image_bytes, stored_bytes)
    SELECT id, node_name, '', ended_at, outcome = 'complete', json_extract(state, '$.evidence.bytes'), json_extract(state, '$.evidence.bytes')
    FROM captures WHERE CASE WHEN json_valid(state) THEN json_type(state, '$.evidence.bytes') IS 'integer' ELSE 0 END
    ORDER BY ended_at, id;
  CREATE TABLE holds (
    capture_id TEXT NOT NULL,
    at TEXT NOT NULL,
    by TEXT NOT NULL,
    reason TEXT NOT NULL
  ) STRICT;
  CREATE INDEX holds_by_capture ON holds (capture_id);
  CREATE TABLE schedules (
    name TEXT PRIMARY KEY,
    spec TEXT NOT NULL,
    configured INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    created_by TEXT NOT NULL,
    paused_by TEXT NOT NULL DEFAULT '',
    planned_through TEXT NOT NULL
  ) STRICT;
  CREATE TABLE runs (
    schedule TEXT NOT NULL,
    tick TEXT NOT NULL,
    node_uid TEXT NOT NULL,
    node_name TEXT NOT NULL,
    triggered INTEGER NOT NULL DEFAULT 0,
    trigger_key TEXT NOT NULL DEFAULT '',
    due_at TEXT NOT NULL,
    deadline_at TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    detail TEXT NOT NULL DEFAULT '',
    capture_id TEXT NOT NULL DEFAULT '',
    ticks INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (schedule, tick, node_uid)
  ) STRICT;
  CREATE INDEX runs_due ON runs (due_at) WHERE state = 'waiting';
  CREATE INDEX runs_deadlines ON runs (deadline_at) WHERE state = 'waiting';
  CREATE INDEX runs_open ON runs (schedule, node_name, tick) WHERE state IN ('waiting', 'running');
  CREATE INDEX runs_running ON runs (schedule) WHERE state = 'running';
  CREATE INDEX runs_by_node ON runs (node_name, schedule, tick);
  CREATE INDEX runs_by_tick ON runs (tick);
  CREATE INDEX runs_by_capture ON runs (capture_id) WHERE capture_id <> '';
  CREATE INDEX runs_by_trigger ON runs (schedule, trigger_key) WHERE trigger_key <> '';
  CREATE TABLE analyses_again (
    capture_id TEXT PRIMARY KEY,
    requested_at TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    ending TEXT NOT NULL DEFAULT ''
  ) STRICT;
  CREATE TABLE findings (
    capture_id TEXT NOT NULL,
    severity TEXT NOT NULL,
    rule TEXT NOT NULL,
    detail TEXT NOT NULL
  ) STRICT;
  CREATE INDEX findings_by_capture ON findings (capture_id);
  CREATE TABLE notifications (
    id TEXT PRIMARY KEY,
    webhook TEXT NOT NULL,
    event TEXT NOT NULL DEFAULT '',
    key TEXT NOT NULL DEFAULT '',
    topic TEXT NOT NULL DEFAULT '',
    at TEXT NOT NULL,
    body TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_at TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT ''
  ) STRICT;
  CREATE UNIQUE INDEX notifications_once ON notifications (webhook, key) WHERE key <> '';
  CREATE INDEX notifications_by_state ON notifications (webhook, state, at);
  CREATE INDEX notifications_due ON notifications (webhook, next_attempt_at) WHERE state = 'waiting';
  CREATE INDEX notifications_by_topic ON notifications (webhook, topic, at) WHERE topic <> '';
  CREATE INDEX notifications_by_age ON notifications (state, at);
  CREATE TABLE notifications_read (
    audit_seq INTEGER NOT NULL
  ) STRICT;
`,
  addChecks,
  `
  CREATE TABLE audit_checkpoint (
    seq INTEGER NOT NULL,
    hash TEXT NOT NULL
  ) STRICT;
`,
  'ALTER TABLE analyses_again ADD COLUMN begun INTEGER NOT NULL DEFAULT 0',
  `ALTER TABLE analyses_again ADD COLUMN spec TEXT NOT NULL DEFAULT ''`,
];

const schemaVersion = steps.length;

/**
 * Opens the collector's one database below dataDir, alone: a second collector on the same directory is refused. Throws database_unusable when it is
 * damaged, lost, newer than this program, in use, or cannot be opened; the evidence beside it is never touched.
 */
export function openDatabase(dataDir: string): DatabaseSync {
  const path = join(dataDir, 'kcorder.db');
  let database: DatabaseSync | undefined;
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    const evidence = join(dataDir, 'evidence');
    // Before SQLite may write: it takes no file for an empty database, and deletes the log beside it.
    if (isLost(path, evidence)) {
      const advice = `restore it from a copy. To start without it, move ${evidence} to another place first`;
      throw unusable(path, `is missing or empty, and ${evidence} is not; ${advice}`);
    }
    database = new DatabaseSync(path);
    chmodSync(path, 0o600);
    database.exec(
      'PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON',
    );
    const check = quickCheck(database);
    // Damage of the file, not of what a row says: that is no reason not to start.
    database.exec('PRAGMA ignore_check_constraints = ON');
    const damage = check === 'ok' ? check : quickCheck(database);
    database.exec('PRAGMA ignore_check_constraints = OFF');
    if (damage !== 'ok') throw unusable(path, isDamaged, new Error(damage));
    // Before the migration, which such a row could stop.
    if (check !== 'ok') transact(database, setViolationsAside);
    migrate(database, path);
    return database;
  } catch (error) {
    database?.close();
    throw error instanceof Fault ? error : unusable(path, explain(error), error);
  }
}

const quickCheck = (database: DatabaseSync): string =>
  String(database.prepare('PRAGMA quick_check(1)').get()?.quick_check);

const isDamaged = 'cannot be read; restore it from a copy. The evidence beside it is untouched';

/** Tells a damaged file from one that is sound and out of reach: to put an older copy in its place would lose what it holds. */
function explain(error: unknown): string {
  // Primary result codes of SQLite: BUSY, LOCKED; CORRUPT, NOTADB.
  const code = error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : 0;
  if (code === 5 || code === 6) return 'is in use by another collector; end that one first';
  if (code === 11 || code === 26) return isDamaged;
  const why = error instanceof Error ? error.message : String(error);
  return `cannot be opened (${why}); check its permissions, the free space and the disk. Do not replace it`;
}

const unusable = (path: string, why: string, cause?: unknown): Fault =>
  new Fault('database_unusable', `the database ${path} ${why}`, { cause });

function migrate(database: DatabaseSync, path: string): void {
  const found = Number(database.prepare('PRAGMA user_version').get()?.user_version);
  if (found === schemaVersion) return;
  if (found > schemaVersion) {
    throw new Fault(
      'database_unusable',
      `the database ${path} has schema ${found}, this collector knows ${schemaVersion}: start the newer collector that wrote it`,
    );
  }
  transact(database, () => {
    for (const step of steps.slice(found)) {
      if (typeof step === 'string') database.exec(step);
      else step(database);
    }
    database.exec(`PRAGMA user_version = ${schemaVersion}`);
  });
}

const failureListeners = new WeakMap<DatabaseSync, () => void>();

/** Calls back whenever the disk has not taken a transaction. One listener for each database. */
export function onWriteFailure(database: DatabaseSync, failed: () => void): void {
  failureListeners.set(database, failed);
}

/** Runs body in one transaction: all of it or nothing. Throws storage_failed when the disk does not take it, internal when a check of the database refuses it. */
export function transact<T>(database: DatabaseSync, body: (database: DatabaseSync) => T): T {
  database.exec('BEGIN IMMEDIATE');
  try {
    const result = body(database);
    database.exec('COMMIT');
    return result;
  } catch (error) {
    // A full disk has rolled back by itself.
    if (database.isTransaction) database.exec('ROLLBACK');
    if (error instanceof Error && 'code' in error && error.code === 'ERR_SQLITE_ERROR') {
      // Not the disk's doing, and no other try will be better.
      if (/^CHECK constraint failed|^an audit record is larger/.test(error.message))
        throw new Fault('internal', `the journal does not take what nobody could read again (${error.message})`, {
          cause: error,
        });
      failureListeners.get(database)?.();
      const message = `the journal could not be written (${error.message}): see to the collector's disk`;
      throw new Fault('storage_failed', message, { cause: error });
    }
    throw error;
  }
}
