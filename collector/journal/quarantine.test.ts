import { copyFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeScratch } from '../testing/files.ts';
import { Parties, Rig } from '../testing/rig.ts';
import { at, events, evidence, request, start, states } from '../testing/states.ts';
import { AuditLog } from './audit-log.ts';
import { CaptureJournal } from './capture-journal.ts';
import { openDatabase } from './database.ts';
import { encode } from './encode.ts';
import { quarantined } from './quarantine.ts';
import { StorageJournal } from './storage-journal.ts';
import { thirdVersion } from './testing/third-version.ts';

const parties = new Parties();
afterAll(() => parties[Symbol.dispose]());

const containers = [{ podNamespace: 'd', podName: 'p', podUid: 'u', containerName: 'c', containerId: '' }];
const withContainers = { ...start, containers };
const done = { ...states.done, acquired: { ...states.done.acquired, start: withContainers } };
const kernel = encode(request.kernel);
const manyRanges = encode({
  ...request.kernel,
  ramRanges: Array.from({ length: 500_000 }, () => ({ start: 0n, end: 0n })),
});

interface CaptureRow {
  readonly phase?: string;
  readonly state?: string;
  readonly durable?: number;
  readonly ceiling?: number;
  readonly request?: string;
  readonly requestedAt?: string;
}

/** Writes a database of the third version, with good rows and what an attacker left. */
function write(dir: string): void {
  const database = new DatabaseSync(join(dir, 'kcorder.db'));
  database.exec(thirdVersion);
  const audit = new AuditLog(database);
  const putCapture = (id: string, row: CaptureRow = {}) => {
    const { phase = 'done', state = encode(done), durable = 100, ceiling = 1_000 } = row;
    const asked = row.request ?? encode({ ...request, id, ceilingBytes: ceiling });
    database
      .prepare(
        `INSERT INTO captures (id, node_uid, node_name, requested_by, idempotency_key, requested_at, phase, durable_bytes, ceiling_bytes, request, state)
         VALUES (?, ?, 'n1', 'operator/alice', ?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(id, `uid-${id}`, `key-${id}`, row.requestedAt ?? at, phase, durable, ceiling, asked, state);
    audit.append({ at, captureId: id, actor: 'operator/alice', action: 'requested', detail: { reason: 'a test' } });
  };
  const putNode = database.prepare(`INSERT INTO nodes VALUES (?, ?, ?, '0.1.0', ?, '[]')`);
  putNode.run('uid-n1', 'n1', at, kernel);
  putNode.run('uid-ranges', 'n-ranges', at, manyRanges);
  putNode.run('uid-text', 'n-text', at, '{"release":');
  const acquiring = encode({ ...states.acquiring, start: withContainers });
  putCapture('c-done');
  putCapture('c-acquiring', { phase: 'acquiring', state: acquiring });
  putCapture('c-negative', { phase: 'acquiring', state: acquiring, ceiling: -34_000_000_000_000 });
  // More than any node has, and than the table of containers takes: all of it stays together.
  const flood = { ...start, containers: [{ ...containers[0], podName: 'x'.repeat(17 << 20) }] };
  putCapture('c-flood', { state: encode({ ...done, acquired: { ...done.acquired, start: flood } }) });
  putCapture('c-text', { state: '{"phase":"done"' });
  putCapture('c-phase', { state: encode({ phase: 'nowhere' }) });
  putCapture('c-other', { request: encode({ ...request, id: 'c-done' }) });
  putCapture('c-ranges', { request: encode({ ...request, id: 'c-ranges', kernel: JSON.parse(manyRanges) }) });
  putCapture('c-time', { requestedAt: 'yesterday' });
  const putStorage = database.prepare(
    `INSERT INTO storage (capture_id, node_name, schedule, sealed_at, complete, image_bytes, stored_bytes) VALUES (?, 'n1', '', ?, 1, ?, ?)`,
  );
  putStorage.run('c-done', at, evidence.bytes, evidence.bytes);
  putStorage.run('c-text', at, 50, 50);
  const putHold = database.prepare(`INSERT INTO holds VALUES ('c-done', ?, 'operator/alice', ?)`);
  for (const reason of ['first', 'second', 'third']) putHold.run(at, reason);
  const putRun = database.prepare(
    `INSERT INTO runs (schedule, tick, node_uid, node_name, due_at, deadline_at, state) VALUES ('s', ?, 'uid-n1', 'n1', ?, ?, ?)`,
  );
  putRun.run(at, at, at, 'succeeded');
  putRun.run('2026-01-02T00:00:00.000Z', at, at, 'nowhere');
  const putFinding = database.prepare(`INSERT INTO findings VALUES ('c-done', ?, 'kernel_mismatch', 'another kernel')`);
  for (const severity of ['critical', 'grave']) putFinding.run(severity);
  database.close();
}

/** Made once, since it is large: each test has copies of it. */
const [earlier, migrated] = [makeScratch(), makeScratch()];
afterAll(() => [earlier, migrated].forEach((each) => void each[Symbol.dispose]()));
const copy = (from: string, to: string) => copyFileSync(join(from, 'kcorder.db'), join(to, 'kcorder.db'));
const fill = (dir: string) => copy(earlier.dir, dir);
const fillMigrated = (dir: string) => copy(migrated.dir, dir);
beforeAll(() => {
  write(earlier.dir);
  fill(migrated.dir);
  openDatabase(migrated.dir).close();
});

const indicesOf = (database: DatabaseSync) =>
  database
    .prepare(`SELECT name, tbl_name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY name`)
    .all();

test('rows that cannot be are set aside by the migration, the others stay as they were', () => {
  using scratch = makeScratch();
  fill(scratch.dir);
  const before = new DatabaseSync(join(scratch.dir, 'kcorder.db'));
  const indices = indicesOf(before);
  before.close();
  const database = openDatabase(scratch.dir);
  expect(quarantined(database)).toEqual([
    { source: 'captures', why: 'capture_phase', count: 1 },
    { source: 'captures', why: 'capture_ranges', count: 1 },
    { source: 'captures', why: 'capture_request', count: 1 },
    { source: 'captures', why: 'capture_sizes', count: 1 },
    { source: 'captures', why: 'capture_state', count: 2 },
    { source: 'captures', why: 'capture_times', count: 1 },
    { source: 'findings', why: 'finding_severity', count: 1 },
    { source: 'nodes', why: 'node_kernel', count: 2 },
    { source: 'runs', why: 'run_state', count: 1 },
    { source: 'storage', why: 'its capture is in quarantine', count: 1 },
  ]);
  const aside = database.prepare(`SELECT row FROM quarantine WHERE why = 'capture_sizes'`).get();
  expect(JSON.parse(String(aside?.row))).toMatchObject({ id: 'c-negative', ceiling_bytes: -34_000_000_000_000 });
  const flood = database.prepare(`SELECT length(row) AS length FROM quarantine WHERE row LIKE '%"c-flood"%'`).get();
  expect(flood?.length).toBeGreaterThan(17 << 20);

  const [journal, storage] = [new CaptureJournal(database), new StorageJournal(database)];
  expect(journal.list({ limit: 10 }).map((each) => each.request.id)).toEqual(['c-done', 'c-acquiring']);
  expect(journal.get('c-done').state).toEqual(states.done);
  expect(journal.get('c-acquiring').state).toEqual(states.acquiring);
  for (const id of ['c-done', 'c-acquiring']) expect(journal.containersOf(id)).toEqual(containers);
  expect(storage.get('c-done')?.holds.map(({ reason }) => reason)).toEqual(['first', 'second', 'third']);
  expect(journal.audit.firstBroken()).toBeUndefined();
  const later = indicesOf(database).filter(({ name }) => name !== 'audit_by_capture');
  expect(later).toEqual(indices);
  database.close();
  openDatabase(scratch.dir).close();
});

test.each([
  ['a negative size', `UPDATE captures SET ceiling_bytes = -1 WHERE id = 'c-done'`],
  ['a size that no number of ours is', `UPDATE captures SET durable_bytes = 1 << 60 WHERE id = 'c-done'`],
  ['a state that is no JSON', `UPDATE captures SET state = '{' WHERE id = 'c-done'`],
  ['a state of another phase', `UPDATE captures SET phase = 'sealed' WHERE id = 'c-done'`],
  ['a kernel of more than a megabyte', `UPDATE nodes SET kernel = json_quote(printf('%.*c', 1100000, 'x'))`],
  ['stored bytes below zero', `UPDATE storage SET stored_bytes = -1`],
  ['a place that there is not', `UPDATE storage SET place = 'elsewhere'`],
])('the database itself refuses %s', (_, sql) => {
  using scratch = makeScratch();
  fillMigrated(scratch.dir);
  const database = openDatabase(scratch.dir);
  expect(() => database.exec(sql)).toThrow('CHECK constraint failed');
  database.close();
});

test.each([
  ['has no node', `request = json_remove(request, '$.node')`],
  ['has no kernel', `request = json_remove(request, '$.kernel')`],
  ['began at no time', `state = json_set(state, '$.acquired.start.openedAt', 'never')`],
  ['has no start', `state = json_remove(state, '$.acquired.start')`],
  ['was interrupted below zero', `state = json_set(state, '$.acquired.interruptions[0].offsetBytes', -5)`],
  ['has half an outcome', `state = json_remove(state, '$.outcome.kind')`],
])('a capture that %s is left out of the list, and nobody else is the worse for it', (_, change) => {
  using scratch = makeScratch();
  fillMigrated(scratch.dir);
  const database = openDatabase(scratch.dir);
  database.exec(`UPDATE captures SET ${change} WHERE id = 'c-done'`);
  const damaged: unknown[] = [];
  const journal = new CaptureJournal(database, undefined, (fault) => damaged.push(fault));
  expect(journal.list({ limit: 10 }).map((each) => each.request.id)).toEqual(['c-acquiring']);
  expect(damaged).toEqual([expect.objectContaining({ code: 'database_unusable' })]);
  expect(() => journal.get('c-done')).toThrow('capture c-done cannot be read from the database');
  database.close();
});

test('a row that violates a check, however it came there, is no reason not to start', () => {
  using scratch = makeScratch();
  fillMigrated(scratch.dir);
  const edited = new DatabaseSync(join(scratch.dir, 'kcorder.db'));
  edited.exec(
    `PRAGMA ignore_check_constraints = ON; UPDATE captures SET ceiling_bytes = -1, request = '{' WHERE id = 'c-done'`,
  );
  edited.close();
  const database = openDatabase(scratch.dir);
  expect(quarantined(database).filter(({ why }) => why === 'capture_sizes' || why === 'capture_request')).toEqual([
    { source: 'captures', why: 'capture_request', count: 1 },
    { source: 'captures', why: 'capture_sizes', count: 2 },
  ]);
  expect(new CaptureJournal(database).list({ limit: 10 }).map((each) => each.request.id)).toEqual(['c-acquiring']);
  expect(() => database.exec(`UPDATE captures SET durable_bytes = -1`)).toThrow('CHECK constraint failed');
  database.close();
});

test('an acquiring capture that cannot be read is set aside by whoever finds it: its node and its run are free, the record says so', () => {
  using scratch = makeScratch();
  const database = openDatabase(scratch.dir);
  const journal = new CaptureJournal(database);
  journal.create({ ...request, id: 'c-acquiring' }, 'key', 1e12);
  journal.apply('c-acquiring', events.opened, 'node/n1');
  database.exec(`UPDATE captures SET state = json_remove(state, '$.start');
    INSERT INTO runs (schedule, tick, node_uid, node_name, due_at, deadline_at, state, capture_id)
      VALUES ('s', '${at}', 'uid-n1', 'n1', '${at}', '${at}', 'running', 'c-acquiring')`);
  const event = { kind: 'canceled', at, by: 'operator/bob' } as const;
  expect(() => journal.apply('c-acquiring', event, 'operator/bob')).toThrow('cannot be read from the database');
  expect(journal.runningOn(request.node.uid)).toBeUndefined();
  const aside = database.prepare(`SELECT why, row FROM quarantine WHERE row LIKE '%"c-acquiring"%'`).get();
  expect(aside?.why).toMatch(/^capture c-acquiring cannot be read/);
  expect(JSON.parse(String(aside?.row))).toMatchObject({ id: 'c-acquiring', phase: 'acquiring' });
  expect(journal.audit.of('c-acquiring').map(({ action }) => action)).toEqual(['requested', 'opened', 'quarantined']);
  expect(journal.audit.firstBroken()).toBeUndefined();
  expect(database.prepare('SELECT state, reason FROM runs').get()).toEqual({
    state: 'failed',
    reason: 'database_unusable',
  });
  expect(() => journal.advance('c-acquiring', 200)).toThrow('there is no capture c-acquiring any more');
  expect(journal.create({ ...request, id: 'c-again' }, 'another key', 1e12).created).toBe(true);
  database.close();
});

test('an audit record beyond all bounds, which the log never writes, is refused by the database too', () => {
  using scratch = makeScratch();
  const database = openDatabase(scratch.dir);
  new CaptureJournal(database).recordAct('operator/alice', 'tried', 'x'.repeat(5 << 20));
  const copy = database.prepare(
    `INSERT INTO audit SELECT seq + 1, at, capture_id, actor, action, json_quote(?) AS detail, hash FROM audit`,
  );
  expect(() => copy.run('x'.repeat(5 << 20))).toThrow('an audit record is larger than any should be');
  expect(copy.run('x').changes).toBe(1);
  database.close();
});

test('a collector starts on such a database: it lists what is sound, says what is not and counts it', async () => {
  await using rig = await Rig.start(parties);
  await rig.stopCollector();
  for (const name of ['kcorder.db', 'kcorder.db-wal', 'kcorder.db-shm'])
    rmSync(join(rig.dataDir, name), { force: true });
  fill(rig.dataDir);
  await rig.startCollector();
  const operator = rig.operator();
  const { captures } = await operator.listCaptures({});
  expect(captures.map(({ id }) => id)).toEqual(['c-done', 'c-acquiring']);
  expect((await operator.listNodes({})).nodes.map(({ name }) => name)).toEqual(['n1']);
  expect(await rig.metrics()).toContain('kcorder_journal_quarantined_rows 12\n');
  expect(rig.logged).toContainEqual(expect.objectContaining({ table: 'captures', why: 'capture_sizes', rows: 1 }));
  await rig.ordered('n1');
});

test.each([
  ['schedules', 'schedule_times', `planned_through = 'some day'`],
  ['schedules', 'schedule_times', `planned_through = '+012026-01-01T00:00:00.000Z'`],
  ['schedules', 'schedule_spec', `spec = '{'`],
])(
  'a collector starts on a row of %s that breaks %s (%s): it is set aside, and the configuration makes it again',
  async (table, why, change) => {
    using scratch = makeScratch();
    const schedulesFile = join(scratch.dir, 'schedules.json');
    const write = (cron: string) => writeFileSync(schedulesFile, JSON.stringify({ schedules: [{ name: 's', cron }] }));
    write('0 * * * *');
    await using rig = await Rig.start(parties, { schedulesFile });
    await rig.stopCollector();
    const edited = new DatabaseSync(join(rig.dataDir, 'kcorder.db'));
    edited.exec(`PRAGMA ignore_check_constraints = ON; UPDATE ${table} SET ${change}`);
    edited.close();
    write('30 * * * *');
    await rig.startCollector();
    expect(rig.logged).toContainEqual(expect.objectContaining({ table, why, rows: 1 }));
    const metrics = await rig.metrics();
    expect(metrics).toContain('kcorder_journal_quarantined_rows 1\n');
    expect(metrics).toContain('kcorder_schedule_created_timestamp_seconds{schedule="s"}');
  },
);

test('a row that violates a check does not stop a migration', () => {
  using scratch = makeScratch();
  const database = openDatabase(scratch.dir);
  database.exec(`PRAGMA ignore_check_constraints = ON; INSERT INTO analyses_again VALUES ('c-done', 'never', 'x', '', 0, '');
    ALTER TABLE analyses_again DROP COLUMN begun; ALTER TABLE analyses_again DROP COLUMN spec; PRAGMA user_version = 5`);
  database.close();
  const migrated = openDatabase(scratch.dir);
  expect(quarantined(migrated)).toContainEqual({ source: 'analyses_again', why: 'again_texts', count: 1 });
  migrated.close();
});
