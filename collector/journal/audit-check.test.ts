import { expect, test } from 'vitest';
import { makeScratch, until } from '../testing/files.ts';
import { at } from '../testing/states.ts';
import { AuditCheck, type AuditVerdict } from './audit-check.ts';
import { AuditLog } from './audit-log.ts';
import { openDatabase } from './database.ts';

/** A log of 1,200 records, more than one batch, that was found whole once. */
async function openChecked() {
  const scratch = makeScratch();
  const database = openDatabase(scratch.dir);
  const log = new AuditLog(database);
  database.exec('BEGIN');
  for (let index = 1; index <= 1200; index += 1)
    log.append({ at, captureId: `c-${index}`, actor: 'operator/alice', action: 'downloaded', detail: { index } });
  database.exec('COMMIT');
  const seen: { verdict: AuditVerdict; whole: boolean }[] = [];
  const events = {
    checked: (verdict: AuditVerdict, whole: boolean) => void seen.push({ verdict, whole }),
    failed: (error: unknown) => {
      throw error;
    },
  };
  const noted = (await new AuditCheck(log, events).whole()).head;
  seen.length = 0;
  const check = new AuditCheck(log, events);
  const close = async () => {
    await check.close();
    database.close();
    scratch[Symbol.dispose]();
  };
  return { database, log, check, noted, seen, [Symbol.asyncDispose]: close };
}

test('a start checks what is new since the last check, then the whole, and moves the checkpoint', async () => {
  await using opened = await openChecked();
  opened.log.append({ at, captureId: 'c', actor: 'collector', action: 'sealed', detail: {} });
  opened.check.start();
  await until(() => opened.seen.length === 2);
  const head = opened.log.head();
  expect(head.seq).toBe(1201);
  expect(opened.seen).toEqual([
    { verdict: { head }, whole: false },
    { verdict: { head }, whole: true },
  ]);
  expect(opened.log.checkpoint()).toEqual(head);
});

test.each([
  { sentence: 'cut off at its end', edit: 'DELETE FROM audit WHERE seq > 1100', at: 1200, says: 'was cut off' },
  { sentence: 'emptied', edit: 'DELETE FROM audit', at: 1200, says: 'was cut off' },
  {
    sentence: 'changed before the checkpoint',
    edit: `UPDATE audit SET actor = 'operator/bob' WHERE seq = 700`,
    at: 700,
    says: 'record 700 is not what its hash says',
  },
  { sentence: 'robbed of a record', edit: 'DELETE FROM audit WHERE seq = 3', at: 3, says: 'record 3 is missing' },
  {
    sentence: 'made unreadable',
    edit: `UPDATE audit SET detail = '{' WHERE seq = 9`,
    at: 9,
    says: 'record 9 cannot be read',
  },
])('a log that was $sentence is found out at the start, stays so, and does not become the measure', async (attack) => {
  await using opened = await openChecked();
  opened.database.exec(attack.edit);
  opened.check.start();
  await until(() => opened.seen.some(({ whole }) => whole));
  const broken = { seq: attack.at, detail: expect.stringContaining(attack.says) };
  expect(opened.seen.at(-1)).toMatchObject({ whole: true, verdict: { broken } });
  expect(opened.log.checkpoint()).toEqual(opened.noted);
  // Records that are written afterwards do not heal it.
  opened.log.append({ at, captureId: 'c', actor: 'collector', action: 'sealed', detail: {} });
  expect(await opened.check.whole()).toMatchObject({ broken });
});

test('a log that was written anew with good hashes contradicts the head that was noted', async () => {
  await using opened = await openChecked();
  const { database, log, noted } = opened;
  const rest = database.prepare('SELECT * FROM audit WHERE seq > 700 ORDER BY seq').all();
  database.exec('DELETE FROM audit WHERE seq > 699; DELETE FROM audit_checkpoint');
  const rewritten = { at, captureId: 'c-700', actor: 'operator/bob', action: 'downloaded', detail: { index: 700 } };
  database.exec('BEGIN');
  log.append(rewritten);
  for (const row of rest) log.append({ ...rewritten, captureId: String(row.capture_id) });
  database.exec('COMMIT');
  // An attacker who can write the database writes the checkpoint too: only a head that was noted elsewhere tells.
  expect((await opened.check.whole()).broken).toBeUndefined();
  expect(log.head().seq).toBe(noted.seq);
  expect(log.contradiction(noted)).toMatchObject({ seq: 1200, detail: expect.stringContaining('was written anew') });
  expect(log.contradiction({ ...noted, hash: noted.hash.slice(0, 12) })).toBeDefined();
});

test('whoever asks while a check runs gets its answer, and an end of the collector ends it', async () => {
  await using opened = await openChecked();
  const [one, other] = [opened.check.whole(), opened.check.whole()];
  expect(await one).toBe(await other);
  expect(opened.check.askedHead.seq).toBe(1200);
  const ending = opened.check.whole();
  ending.catch(() => undefined);
  await opened.check.close();
  await expect(ending).rejects.toThrow();
});
