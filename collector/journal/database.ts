import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Fault } from '@kcorder/proto/fault.ts';

/** What each version added to the one before: the first entry makes version 1. */
const steps = [
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
];

const schemaVersion = steps.length;

/**
 * Opens the collector's one database below dataDir, alone: a second collector on the same directory is refused. Throws
 * database_unusable when it is damaged, newer than this program, or in use; the evidence beside it is never touched.
 */
export function openDatabase(dataDir: string): DatabaseSync {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const path = join(dataDir, 'kcorder.db');
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path);
    chmodSync(path, 0o600);
    database.exec(
      'PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON',
    );
    const check = database.prepare('PRAGMA quick_check').get();
    if (check?.quick_check !== 'ok') throw new Error(String(check?.quick_check));
    migrate(database, path);
    return database;
  } catch (error) {
    database?.close();
    if (error instanceof Fault) throw error;
    const busy = error instanceof Error && /locked/.test(error.message);
    const what = busy
      ? 'is in use by another collector; end that one first'
      : 'cannot be read; restore it from a copy. The evidence beside it is untouched';
    throw new Fault('database_unusable', `the database ${path} ${what}`, { cause: error });
  }
}

function migrate(database: DatabaseSync, path: string): void {
  const found = Number(database.prepare('PRAGMA user_version').get()?.user_version);
  if (found === schemaVersion) return;
  if (found > schemaVersion) {
    throw new Fault(
      'database_unusable',
      `the database ${path} has schema ${found}, this collector knows ${schemaVersion}: start the newer collector that wrote it`,
    );
  }
  transact(database, () => database.exec(`${steps.slice(found).join('')}; PRAGMA user_version = ${schemaVersion}`));
}

/** Runs body in one transaction: all of it or nothing. Throws storage_failed when the disk does not take it. */
export function transact<T>(database: DatabaseSync, body: () => T): T {
  database.exec('BEGIN IMMEDIATE');
  try {
    const result = body();
    database.exec('COMMIT');
    return result;
  } catch (error) {
    // A full disk has rolled back by itself.
    if (database.isTransaction) database.exec('ROLLBACK');
    if (error instanceof Error && 'code' in error && error.code === 'ERR_SQLITE_ERROR') {
      const message = `the journal could not be written (${error.message}): see to the collector's disk`;
      throw new Fault('storage_failed', message, { cause: error });
    }
    throw error;
  }
}
