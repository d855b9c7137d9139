import { expect, test } from 'vitest';
import { makeScratch } from '../testing/files.ts';
import { events, request } from '../testing/states.ts';
import { AuditLog } from './audit-log.ts';
import { CaptureJournal } from './capture-journal.ts';
import { CustodyQueue } from './custody-queue.ts';
import { openDatabase } from './database.ts';
import { Reanalyses } from './reanalyses.ts';
import { StorageJournal } from './storage-journal.ts';

function journal() {
  const scratch = makeScratch();
  const database = openDatabase(scratch.dir);
  return {
    database,
    again: new Reanalyses(database),
    actions: (id: string) => new AuditLog(database).of(id).map(({ actor, action }) => `${action} by ${actor}`),
    [Symbol.dispose]: () => {
      database.close();
      scratch[Symbol.dispose]();
    },
  };
}

test('a wish waits, runs and ends, each step with its record', () => {
  using j = journal();
  const told: string[] = [];
  const stop = j.again.watch((id) => told.push(id));
  expect(j.again.get('c-1')).toBeUndefined();
  expect(j.again.next()).toBeUndefined();
  j.again.ask('c-1', 'operator/alice');
  expect(j.again.get('c-1')).toEqual({ kind: 'waiting' });
  expect(j.again.next()).toBe('c-1');
  j.again.begin('c-1');
  expect(j.again.get('c-1')).toEqual({ kind: 'running' });
  const ending = { kind: 'failed', reason: 'symbols_missing', detail: 'put them there' } as const;
  j.again.end('c-1', ending);
  expect(j.again.get('c-1')).toEqual({ kind: 'ended', ending });
  expect(j.again.next()).toBeUndefined();
  expect(told).toEqual(['c-1', 'c-1', 'c-1']);
  stop();
  expect(j.actions('c-1')).toEqual(['analysis_asked by operator/alice', 'analysed_again by collector']);
  expect(new AuditLog(j.database).firstBroken()).toBeUndefined();
});

test('asked twice while it waits or runs it is one wish; after its end it is another', () => {
  using j = journal();
  j.again.ask('c-1', 'operator/alice');
  j.again.ask('c-1', 'operator/bob');
  j.again.begin('c-1');
  j.again.ask('c-1', 'operator/bob');
  expect(j.again.get('c-1')).toEqual({ kind: 'running' });
  expect(j.actions('c-1')).toEqual(['analysis_asked by operator/alice']);
  j.again.end('c-1', { kind: 'done' });
  j.again.ask('c-1', 'operator/bob');
  expect(j.again.get('c-1')).toEqual({ kind: 'waiting' });
  expect(j.actions('c-1').at(-1)).toBe('analysis_asked by operator/bob');
});

test('what is to run is kept and on record; another wish beside one that waits is refused', () => {
  using j = journal();
  const spec = { plugins: [{ name: 'linux.bash.Bash', arguments: { pid: '7' } }] };
  j.again.ask('c-1', 'operator/alice', spec);
  expect(new Reanalyses(j.database).specOf('c-1')).toEqual(spec);
  expect(new AuditLog(j.database).of('c-1')).toMatchObject([{ action: 'analysis_asked', detail: spec }]);
  j.again.ask('c-1', 'operator/bob', { plugins: [{ arguments: { pid: '7' }, name: 'linux.bash.Bash' }] });
  for (const other of [undefined, { profile: 'deep' }])
    expect(() => j.again.ask('c-1', 'operator/bob', other)).toThrow(
      expect.objectContaining({
        code: 'capture_running',
        message: expect.stringContaining("'kcorder cancel c-1 --analysis'"),
      }),
    );
  j.again.end('c-1', { kind: 'done' });
  j.again.ask('c-1', 'operator/bob');
  expect(j.again.specOf('c-1')).toBeUndefined();
});

test('the one that has waited longest is next, and a restart forgets none of them', () => {
  using j = journal();
  j.again.ask('c-2', 'operator/alice');
  j.again.ask('c-1', 'operator/alice');
  j.again.begin('c-2');
  const restarted = new Reanalyses(j.database);
  expect(restarted.get('c-2')).toEqual({ kind: 'waiting' });
  expect(restarted.next()).toBe('c-2');
  restarted.end('c-2', { kind: 'done' });
  expect(restarted.next()).toBe('c-1');
});

test('whoever asks for more analyses keeps nothing from being deleted but what is being analyzed', () => {
  using j = journal();
  const { database, again, actions } = j;
  const [captures, queue] = [new CaptureJournal(database), new CustodyQueue(database)];
  const storage = new StorageJournal(database, again);
  for (const id of ['c-1', 'c-2', 'c-3']) {
    captures.create({ ...request, id, node: { name: 'n1', uid: id } }, id, 10_000);
    for (const event of [events.opened, events.finished, events.sealed, events.analysis_ended])
      captures.apply(id, event, 'node/n1');
    again.ask(id, 'operator/mallory');
  }
  again.begin('c-1');
  expect(queue.madeBy('', 'n1').map(({ deletable }) => deletable)).toEqual([true, true, true]);
  const busy = () => storage.beginDeletion('c-1', 'operator/alice', 'space');
  expect(busy).toThrow(expect.objectContaining({ code: 'capture_running' }));
  expect(actions('c-1').at(-1)).toBe('analysis_asked by operator/mallory');
  const told: string[] = [];
  again.watch((id) => told.push(id));
  storage.beginDeletion('c-2', 'operator/alice', 'space');
  expect(told).toEqual(['c-2']);
  expect(again.get('c-2')).toMatchObject({ kind: 'ended', ending: { kind: 'skipped', reason: 'evidence_deleted' } });
  expect(actions('c-2').slice(-3)).toEqual([
    'analysis_asked by operator/mallory',
    'deletion_begun by operator/alice',
    'analysed_again by collector',
  ]);
  again.end('c-1', { kind: 'done' });
  again.ask('c-1', 'operator/mallory');
  busy();
  expect(again.next()).toBe('c-3');
  expect(new AuditLog(database).firstBroken()).toBeUndefined();
});
