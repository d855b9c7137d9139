import { mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Fault } from '@kcorder/proto/fault.ts';
import { expect, test } from 'vitest';
import { makeScratch } from '../testing/files.ts';
import { request } from '../testing/states.ts';
import { CaptureJournal } from './captures.ts';
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
    says: 'has schema 1000, this collector knows 5: start the newer collector that wrote it',
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
