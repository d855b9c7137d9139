import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Fault } from '@kcorder/proto/fault.ts';
import { expect, test } from 'vitest';
import { makeScratch } from '../testing/files.ts';
import { request } from '../testing/states.ts';
import { makeTinyDisk, mayMount } from '../testing/tiny-disk.ts';
import { CaptureJournal } from './capture-journal.ts';
import { openDatabase, transact } from './database.ts';

/** A folder with a journal of 200 captures and an image beside it. */
function fill(dir: string): void {
  const database = openDatabase(dir);
  const journal = new CaptureJournal(database);
  for (let index = 0; index < 200; index += 1) {
    const node = { name: `n${index}`, uid: `u${index}` };
    journal.create({ ...request, id: `c-${index}`, node, ceilingBytes: 1 }, `key-${index}`, 1000);
  }
  database.close();
  mkdirSync(join(dir, 'evidence'));
  writeFileSync(join(dir, 'evidence', 'image.lime'), 'evidence');
}

interface Row {
  readonly sentence: string;
  readonly damage: (path: string) => void;
  readonly says: string;
}

test.each<Row>([
  {
    sentence: 'is something else',
    damage: (path) => writeFileSync(path, 'this is not a database, it only lies in its place '.repeat(100)),
    says: 'cannot be read; restore it from a copy. The evidence beside it is untouched',
  },
  {
    sentence: 'was overwritten in the middle',
    damage: (path) => {
      const bytes = readFileSync(path);
      bytes.fill(0xff, 4096, 4096 * 8);
      writeFileSync(path, bytes);
    },
    says: 'cannot be read; restore it from a copy',
  },
  {
    sentence: 'was cut off',
    damage: (path) => truncateSync(path, 4096 * 5),
    says: 'cannot be read; restore it from a copy',
  },
  {
    sentence: 'is newer than this program',
    damage: (path) => {
      const database = new DatabaseSync(path);
      database.exec('PRAGMA user_version = 1000');
      database.close();
    },
    says: 'has schema 1000, this collector knows 7: start the newer collector that wrote it',
  },
])('a database that $sentence is refused by its path, and the evidence is not touched', ({ damage, says }) => {
  using scratch = makeScratch();
  fill(scratch.dir);
  const path = join(scratch.dir, 'kcorder.db');
  damage(path);
  const before = readFileSync(path);
  const open = () => openDatabase(scratch.dir);
  expect(open).toThrow(Fault);
  expect(open).toThrow(expect.objectContaining({ code: 'database_unusable' }));
  expect(open).toThrow(`the database ${path} ${says}`);
  expect(readFileSync(path).equals(before)).toBe(true);
  expect(readFileSync(join(scratch.dir, 'evidence', 'image.lime'), 'utf8')).toBe('evidence');
});

test.each<{ sentence: string; lose: (path: string) => void }>([
  { sentence: 'is gone', lose: (path) => rmSync(path) },
  { sentence: 'has no byte left', lose: (path) => truncateSync(path, 0) },
])('a database that $sentence is not begun anew beside evidence, and the log beside it stays', ({ lose }) => {
  using scratch = makeScratch();
  fill(scratch.dir);
  const path = join(scratch.dir, 'kcorder.db');
  lose(path);
  writeFileSync(`${path}-wal`, 'records');
  const there = existsSync(path);
  const says = `the database ${path} is missing or empty, and ${join(scratch.dir, 'evidence')} is not; restore it`;
  expect(() => openDatabase(scratch.dir)).toThrow(expect.objectContaining({ code: 'database_unusable' }));
  expect(() => openDatabase(scratch.dir)).toThrow(says);
  expect(existsSync(path)).toBe(there);
  expect(readFileSync(`${path}-wal`, 'utf8')).toBe('records');
});

test.each<{ sentence: string; put: (path: string) => void }>([
  {
    sentence: 'lost its log and holds nothing without it',
    put: (path) => {
      const database = new DatabaseSync(path);
      database.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (a); DROP TABLE t');
      database.close();
    },
  },
  {
    sentence: "is another program's",
    put: (path) => {
      const database = new DatabaseSync(path);
      database.exec('CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)');
      database.close();
    },
  },
])('a database that $sentence is not begun anew beside evidence, and not written to', ({ put }) => {
  using scratch = makeScratch();
  fill(scratch.dir);
  const path = join(scratch.dir, 'kcorder.db');
  rmSync(path);
  put(path);
  writeFileSync(`${path}-wal`, 'records');
  const before = readFileSync(path);
  expect(before.length).toBeGreaterThanOrEqual(4096);
  const says = `the database ${path} is missing or empty, and ${join(scratch.dir, 'evidence')} is not; restore it`;
  for (let attempt = 0; attempt < 2; attempt += 1) {
    const open = () => openDatabase(scratch.dir);
    expect(open).toThrow(
      expect.objectContaining({ code: 'database_unusable', message: expect.stringContaining(says) }),
    );
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(readFileSync(`${path}-wal`, 'utf8')).toBe('records');
  }
});

test('a database whose only schema is in its log is opened beside evidence', () => {
  using scratch = makeScratch();
  const from = join(scratch.dir, 'from');
  const to = join(scratch.dir, 'to');
  mkdirSync(join(to, 'evidence'), { recursive: true });
  writeFileSync(join(to, 'evidence', 'image.lime'), 'evidence');
  const database = openDatabase(from);
  for (const name of ['kcorder.db', 'kcorder.db-wal']) copyFileSync(join(from, name), join(to, name));
  database.close();
  const file = join(to, 'kcorder.db');
  expect(new Set(readFileSync(file).subarray(60, 64))).toEqual(new Set([0]));
  openDatabase(to).close();
});

test('a first start that was interrupted begins again: there is no evidence yet', () => {
  using scratch = makeScratch();
  writeFileSync(join(scratch.dir, 'kcorder.db'), '');
  mkdirSync(join(scratch.dir, 'evidence'));
  openDatabase(scratch.dir).close();
});

test('nobody is told to replace a database that only cannot be opened', () => {
  using scratch = makeScratch();
  const path = join(scratch.dir, 'kcorder.db');
  mkdirSync(path);
  const says = 'cannot be opened (unable to open database file); check its permissions, the free space and the disk';
  expect(() => openDatabase(scratch.dir)).toThrow(`the database ${path} ${says}. Do not replace it`);
  writeFileSync(join(scratch.dir, 'file'), '');
  expect(() => openDatabase(join(scratch.dir, 'file'))).toThrow(
    expect.objectContaining({
      code: 'database_unusable',
      message: expect.stringContaining('cannot be opened (EEXIST'),
    }),
  );
});

test.skipIf(!mayMount)('nor when the disk is full', () => {
  using disk = makeTinyDisk();
  const filler = join(disk.dir, 'filler');
  expect(() => writeFileSync(filler, Buffer.alloc(2 << 20))).toThrow('ENOSPC');
  const says = 'cannot be opened (database or disk is full); check its permissions, the free space and the disk';
  expect(() => openDatabase(disk.dir)).toThrow(says);
  rmSync(filler);
  openDatabase(disk.dir).close();
});

test('a database that is in use is refused, and can be opened when the first collector has ended', () => {
  using scratch = makeScratch();
  const first = openDatabase(scratch.dir);
  expect(() => openDatabase(scratch.dir)).toThrow('is in use by another collector; end that one first');
  first.close();
  openDatabase(scratch.dir).close();
});

test('the database can be read by its owner alone', () => {
  using scratch = makeScratch();
  const dir = join(scratch.dir, 'data');
  openDatabase(dir).close();
  expect(statSync(join(dir, 'kcorder.db')).mode & 0o777).toBe(0o600);
  expect(statSync(dir).mode & 0o777).toBe(0o700);
});

test('a change that throws is taken back, whatever it threw', () => {
  using scratch = makeScratch();
  const database = openDatabase(scratch.dir);
  database.exec('CREATE TABLE t (a INTEGER)');
  const body = () => {
    database.exec('INSERT INTO t VALUES (1)');
    throw new Error('no');
  };
  expect(() => transact(database, body)).toThrow('no');
  expect(database.prepare('SELECT count(*) AS n FROM t').get()).toEqual({ n: 0 });
  expect(transact(database, () => 7)).toBe(7);
  database.close();
});
