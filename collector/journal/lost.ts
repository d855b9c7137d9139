import { closeSync, existsSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

/** Where the header of an SQLite file has what PRAGMA user_version says. */
const versionAt = 60;

/**
 * True when captures have left evidence, and nothing is left of the database that knew of them: its file is missing or empty, or holds no version of
 * the schema, as one whose log is lost, or another program's. Changes neither the file nor the log beside it. Throws errors of the file system and of SQLite.
 */
export function isLost(path: string, evidence: string): boolean {
  if (!existsSync(evidence) || readdirSync(evidence).length === 0) return false;
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  return size === 0 || (writtenVersion(path) === 0 && loggedVersion(path) === 0);
}

/** Without SQLite, which needs room on the disk to read a database that has a log. */
function writtenVersion(path: string): number {
  const bytes = Buffer.alloc(4);
  const file = openSync(path, 'r');
  try {
    readSync(file, bytes, 0, bytes.length, versionAt);
  } finally {
    closeSync(file);
  }
  return bytes.readUInt32BE();
}

/** With what is only in the log yet. Read-only, or SQLite would delete a log that it cannot use. */
function loggedVersion(path: string): number {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    return Number(database.prepare('PRAGMA user_version').get()?.user_version);
  } finally {
    database.close();
  }
}
