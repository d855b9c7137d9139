import { expect, test } from 'vitest';
import { makeScratch } from '../testing/files.ts';
import { at } from '../testing/states.ts';
import { AuditLog, auditStart } from './audit-log.ts';
import { openDatabase, transact } from './database.ts';

/** A log of five records. */
function openLog() {
  const scratch = makeScratch();
  const database = openDatabase(scratch.dir);
  const log = new AuditLog(database);
  for (let index = 1; index <= 5; index += 1) {
    log.append({
      at,
      captureId: `c-${index % 2}`,
      actor: 'operator/alice',
      action: 'downloaded',
      detail: { offset: index },
    });
  }
  const close = () => {
    database.close();
    scratch[Symbol.dispose]();
  };
  return { log, database, [Symbol.dispose]: close };
}

test('the records of a capture come back in order', () => {
  using opened = openLog();
  expect(opened.log.of('c-1').map(({ detail }) => detail)).toEqual([{ offset: 1 }, { offset: 3 }, { offset: 5 }]);
  expect(opened.log.firstBroken()).toBeUndefined();
});

test('of a capture with ever so many records the first and the newest come back; of a huge one size and digest are kept', () => {
  using scratch = makeScratch();
  const database = openDatabase(scratch.dir);
  const log = new AuditLog(database);
  const record = { at, captureId: 'c-1', actor: 'node/n1', action: 'opened' };
  log.append({ ...record, detail: { start: 'x'.repeat(1 << 20) } });
  transact(database, () => {
    for (let attempt = 2; attempt <= 2_500; attempt += 1) log.append({ ...record, detail: { attempt } });
  });
  const records = log.of('c-1');
  expect(records).toHaveLength(2_001);
  expect(records[0]?.detail).toEqual({ leftOutBytes: (1 << 20) + 12, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) });
  expect(records[1_000]).toMatchObject({ action: 'left_out', detail: { records: 500 } });
  expect(records.at(-1)?.detail).toEqual({ attempt: 2_500 });
  expect(JSON.stringify(records).length).toBeLessThan(1 << 20);
  expect(log.firstBroken()).toBeUndefined();
  database.close();
});

test('a record before the first belongs to nobody: it is told, shown of no capture, and never the newest', () => {
  using opened = openLog();
  opened.database.exec(
    `INSERT INTO audit SELECT 0, at, capture_id, actor, 'deleted', detail, hash FROM audit WHERE seq = 1`,
  );
  const head = opened.log.head();
  expect(opened.log.follow(head, 10).broken?.detail).toBe('record 0 is before the first: it was added');
  expect(opened.log.of('c-1').map(({ action }) => action)).not.toContain('deleted');
  opened.database.exec('DELETE FROM audit WHERE seq > 0');
  expect(opened.log.head().seq).toBe(0);
});

test('a detail that no record takes, of whatever somebody sent, does not stand in the way of what it records', () => {
  using opened = openLog();
  const detail = { reason: '\u0001'.repeat(5 << 20) };
  opened.log.append({ at, captureId: 'c-1', actor: 'operator/alice', action: 'released', detail });
  const row = opened.database
    .prepare('SELECT octet_length(detail) AS bytes FROM audit ORDER BY seq DESC LIMIT 1')
    .get();
  expect(Number(row?.bytes)).toBeLessThan(200);
  expect(opened.log.firstBroken()).toBeUndefined();
});

test('whoever has half of a character in their name does not break the chain', () => {
  using opened = openLog();
  opened.log.append({ at, captureId: 'c-1', actor: 'user/\ud800', action: 'released', detail: {} });
  expect(opened.log.firstBroken()).toBeUndefined();
});

test('of a record that cannot be read the others are shown, and its size', () => {
  using opened = openLog();
  opened.database.exec(`UPDATE audit SET detail = '{"offset' WHERE seq = 3`);
  expect(opened.log.of('c-1').map(({ detail }) => detail)).toEqual([{ offset: 1 }, { leftOutBytes: 8 }, { offset: 5 }]);
  expect(opened.log.firstBroken()).toBe(3);
});

test.each([
  { sentence: 'a changed time', edit: `UPDATE audit SET at = '2027-01-01T00:00:00.000Z' WHERE seq = 3`, broken: 3 },
  { sentence: 'another capture', edit: `UPDATE audit SET capture_id = 'c-9' WHERE seq = 1`, broken: 1 },
  { sentence: 'another actor', edit: `UPDATE audit SET actor = 'operator/bob' WHERE seq = 2`, broken: 2 },
  { sentence: 'another action', edit: `UPDATE audit SET action = 'requested' WHERE seq = 5`, broken: 5 },
  { sentence: 'another detail', edit: `UPDATE audit SET detail = '{"offset":9}' WHERE seq = 4`, broken: 4 },
  { sentence: 'another hash', edit: `UPDATE audit SET hash = 'ab' WHERE seq = 3`, broken: 3 },
  { sentence: 'a record taken out of the middle', edit: 'DELETE FROM audit WHERE seq = 2', broken: 2 },
  { sentence: 'a record taken from the start', edit: 'DELETE FROM audit WHERE seq = 1', broken: 1 },
  {
    sentence: 'a record put before the first',
    edit: `INSERT INTO audit SELECT -1, at, capture_id, actor, action, detail, hash FROM audit WHERE seq = 1`,
    broken: 1,
  },
  {
    sentence: 'a record put in between',
    edit: `UPDATE audit SET seq = seq + 10 WHERE seq > 2; UPDATE audit SET seq = seq - 9 WHERE seq > 10;
           INSERT INTO audit SELECT 3, at, capture_id, actor, action, detail, hash FROM audit WHERE seq = 2`,
    broken: 3,
  },
  {
    sentence: 'two records that changed places',
    edit: 'UPDATE audit SET seq = 9 WHERE seq = 2; UPDATE audit SET seq = 2 WHERE seq = 3; UPDATE audit SET seq = 3 WHERE seq = 9',
    broken: 2,
  },
])('the chain breaks at $sentence', ({ edit, broken }) => {
  using opened = openLog();
  opened.database.exec(edit);
  expect(opened.log.firstBroken()).toBe(broken);
});

test('a look at the log ends after its time too, wherever it is, and goes on from there', () => {
  using opened = openLog();
  const first = opened.log.follow(auditStart, 500, 0);
  expect(first).toMatchObject({ head: { seq: 1 }, more: true });
  expect(opened.log.follow(first.head, 500)).toMatchObject({ head: { seq: 5 }, more: false });
});
