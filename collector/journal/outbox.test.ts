import { expect, test } from 'vitest';
import { makeScratch } from '../testing/files.ts';
import { openDatabase } from './database.ts';
import { type Joining, Outbox, type Waiting } from './outbox.ts';

const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();

function openOutbox(mostWaiting?: number) {
  const scratch = makeScratch();
  const database = openDatabase(scratch.dir);
  const rows = () => database.prepare('SELECT id, state, reason, body FROM notifications ORDER BY rowid').all();
  const close = () => {
    database.close();
    scratch[Symbol.dispose]();
  };
  return { outbox: new Outbox(database, mostWaiting), database, rows, [Symbol.dispose]: close };
}

function waiting(id: string, second: number, more: Partial<Waiting> = {}): Waiting {
  return {
    id,
    webhook: 'soc',
    event: 'finding',
    key: `key-${id}`,
    at: at(second),
    body: id,
    dueAt: at(second),
    ...more,
  };
}

test('the same key is written once for each webhook', () => {
  using open = openOutbox();
  open.outbox.put([waiting('a', 0, { key: 'k' }), waiting('b', 0, { key: 'k', webhook: 'chat' })]);
  open.outbox.put([waiting('c', 1, { key: 'k' })]);
  expect(open.rows().map(({ id }) => id)).toEqual(['a', 'b']);
});

test('the one that is due for the longest time comes first, and each claim counts', () => {
  using open = openOutbox();
  open.outbox.put([waiting('late', 5), waiting('soon', 1), waiting('other', 0, { webhook: 'chat' })]);
  expect(open.outbox.claim('soc', at(0))).toBeUndefined();
  expect(open.outbox.nextDue('soc')).toBe(at(1));
  expect(open.outbox.claim('soc', at(9))).toEqual({ id: 'soon', at: at(1), body: 'soon', attempts: 1 });
  open.outbox.postpone('soon', at(20), 'timeout');
  expect(open.outbox.claim('soc', at(9))?.id).toBe('late');
  open.outbox.settle('late', 'sent', '');
  expect(open.outbox.claim('soc', at(30))).toMatchObject({ id: 'soon', attempts: 2 });
});

test('what joins is taken in until the first attempt, and the next is due after the quiet time', () => {
  using open = openOutbox();
  const joining: Joining = { topic: 'run_missed/nightly', quietMs: 60_000, join: (earlier) => `${earlier}+` };
  const joined = (id: string, second: number) => waiting(id, second, { key: '', joining });
  open.outbox.put([joined('a', 0), joined('b', 1)]);
  expect(open.rows()).toMatchObject([{ id: 'a', body: 'a+' }]);
  open.outbox.claim('soc', at(2));
  open.outbox.put([joined('c', 3)]);
  open.outbox.put([joined('d', 4)]);
  expect(open.rows()).toMatchObject([
    { id: 'a', body: 'a+' },
    { id: 'c', body: 'c+' },
  ]);
  open.outbox.settle('a', 'sent', '');
  expect(open.outbox.nextDue('soc')).toBe(at(60));
});

test('of too many the complete captures go first, then the oldest, and the others stay', () => {
  using open = openOutbox(3);
  const told = open.outbox.put([
    waiting('old', 0),
    waiting('complete', 1, { event: 'capture_complete' }),
    waiting('young', 2),
    waiting('new', 3),
    waiting('chat', 3, { webhook: 'chat' }),
  ]);
  expect(told).toEqual(['soc']);
  expect(open.outbox.put([waiting('newest', 4)])).toEqual(['soc']);
  const gone = open.rows().filter(({ state }) => state === 'failed');
  expect(gone).toMatchObject([
    { id: 'old', reason: 'crowded_out' },
    { id: 'complete', reason: 'crowded_out' },
  ]);
});

test('what waits for too long is given up, and what has ended is forgotten later', () => {
  using open = openOutbox();
  open.outbox.put([waiting('a', 0), waiting('b', 5), waiting('c', 0)]);
  open.outbox.settle('c', 'sent', '');
  expect(open.outbox.giveUp(at(3))).toBe(1);
  expect(open.rows()).toMatchObject([{ id: 'a', state: 'failed', reason: 'given_up' }, { id: 'b' }, { id: 'c' }]);
  open.outbox.prune(at(6));
  expect(open.rows()).toMatchObject([{ id: 'b', state: 'waiting' }]);
});

test('audit records are unread from the beginning of reading on, until a notification goes beyond them', () => {
  using open = openOutbox();
  const audit = (seq: number) =>
    open.database
      .prepare(
        `INSERT INTO audit (seq, at, capture_id, actor, action, detail, hash) VALUES (?, '', 'c-1', '', 'sealed', '', '')`,
      )
      .run(seq);
  audit(1);
  expect(open.outbox.unread(9)).toEqual([]);
  open.outbox.beginReading();
  audit(2);
  audit(3);
  open.outbox.beginReading();
  expect(open.outbox.unread(9)).toEqual([2, 3].map((seq) => ({ seq, captureId: 'c-1', action: 'sealed' })));
  open.outbox.put([], 2);
  expect(open.outbox.unread(9).map(({ seq }) => seq)).toEqual([3]);
  open.outbox.endReading();
  open.outbox.beginReading();
  expect(open.outbox.unread(9)).toEqual([]);
});
