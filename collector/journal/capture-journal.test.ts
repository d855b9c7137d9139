import type { DatabaseSync } from 'node:sqlite';
import { Fault } from '@kcorder/proto/fault.ts';
import { expect, test } from 'vitest';
import { makeScratch } from '../testing/files.ts';
import { end, events, kept, request } from '../testing/states.ts';
import { CaptureJournal, type Change } from './capture-journal.ts';
import { openDatabase } from './database.ts';

/** A journal in a folder of its own. */
function openJournal(): Disposable & { journal: CaptureJournal; database: DatabaseSync; reopen(): CaptureJournal } {
  const scratch = makeScratch();
  let database = openDatabase(scratch.dir);
  return {
    database,
    journal: new CaptureJournal(database),
    reopen: () => {
      database.close();
      database = openDatabase(scratch.dir);
      return new CaptureJournal(database);
    },
    [Symbol.dispose]: () => {
      database.close();
      scratch[Symbol.dispose]();
    },
  };
}

const of = (id: string, node = 'n1', ceilingBytes = 1000) => ({
  ...request,
  id,
  node: { name: node, uid: `uid-${node}` },
  ceilingBytes,
});

test('a capture comes back from the disk as it was written, big addresses and all', () => {
  using opened = openJournal();
  opened.journal.create(of('c-1'), 'key', 10_000);
  opened.journal.apply('c-1', events.opened, 'node/n1');
  opened.journal.advance('c-1', 400);
  expect(opened.reopen().get('c-1')).toEqual({
    request: of('c-1'),
    state: { phase: 'acquiring', epoch: 1, attempt: 3, start: kept, interruptions: [] },
    durableBytes: 400,
  });
});

test('the same key of the same requester gives back the same capture, also when the node is busy and the disk full', () => {
  using opened = openJournal();
  const { journal } = opened;
  expect(journal.create(of('c-1'), 'key', 1000)).toMatchObject({ created: true });
  expect(journal.create(of('c-2'), 'key', 0)).toMatchObject({ created: false, capture: { request: { id: 'c-1' } } });
  expect(journal.list({ limit: 10 })).toHaveLength(1);
  const others = { ...of('c-3', 'n2'), requestedBy: 'operator/bob' };
  expect(journal.create(others, 'key', 10_000)).toMatchObject({ created: true });
});

test('a node has one capture at a time; the next one may start when the first is being sealed', () => {
  using opened = openJournal();
  const { journal } = opened;
  journal.create(of('c-1'), 'key-1', 10_000);
  const second = () => journal.create(of('c-2'), 'key-2', 10_000);
  expect(second).toThrow('node n1 is being captured (c-1): wait for it, or cancel it');
  journal.apply('c-1', events.opened, 'node/n1');
  expect(second).toThrow(Fault);
  journal.apply('c-1', { ...events.finished, end }, 'node/n1');
  expect(second()).toMatchObject({ created: true });
});

test.each([
  { sentence: 'what running captures may still need is reserved', durable: 0, free: 1999, fits: false },
  { sentence: 'what fits beside it is taken', durable: 0, free: 2000, fits: true },
  { sentence: 'bytes that are durable are not reserved twice', durable: 600, free: 1400, fits: true },
  { sentence: 'what is not yet durable stays reserved', durable: 600, free: 1399, fits: false },
])('$sentence', ({ durable, free, fits }) => {
  using opened = openJournal();
  const { journal } = opened;
  journal.create(of('c-1', 'n1'), 'key-1', 10_000);
  journal.apply('c-1', events.opened, 'node/n1');
  journal.advance('c-1', durable);
  const second = () => journal.create(of('c-2', 'n2'), 'key-2', free);
  if (fits) expect(second()).toMatchObject({ created: true });
  else {
    expect(second).toThrow(
      `node n2 needs up to 1000 bytes of evidence, ${free} bytes are free, ${1000 - durable} of them reserved by running captures`,
    );
    expect(journal.find('c-2')).toBeUndefined();
    expect(journal.audit.of('c-2')).toEqual([]);
  }
});

test.each([-34e12, Number.NaN, 2 ** 60])(
  'a node that claims memory for %d bytes is refused, whatever room that would leave for others',
  (ceilingBytes) => {
    using opened = openJournal();
    expect(() => opened.journal.create(of('c-1', 'n1', ceilingBytes), 'key-1', 1e15)).toThrow(
      expect.objectContaining({ code: 'invalid_argument', message: expect.stringContaining('which no node has') }),
    );
    expect(() => opened.journal.create(of('c-2', 'n2', 500 * 2 ** 30), 'key-2', 1e9)).toThrow(
      '1000000000 bytes are free:',
    );
  },
);

test('a capture that has ended reserves nothing', () => {
  using opened = openJournal();
  opened.journal.create(of('c-1', 'n1'), 'key-1', 1000);
  opened.journal.apply('c-1', events.canceled, 'operator/alice');
  expect(opened.journal.create(of('c-2', 'n2'), 'key-2', 1000)).toMatchObject({ created: true });
});

test('an event that does not fit changes nothing, leaves no record and tells nobody', () => {
  using opened = openJournal();
  const { journal } = opened;
  journal.create(of('c-1'), 'key', 10_000);
  const changes: Change[] = [];
  const stop = journal.watch((change) => changes.push(change));
  expect(journal.apply('c-1', events.sealed, 'collector')).toMatchObject({ kind: 'refused' });
  expect(journal.get('c-1').state).toEqual({ phase: 'requested' });
  expect(journal.audit.of('c-1').map(({ action }) => action)).toEqual(['requested']);
  expect(changes).toEqual([]);
  journal.apply('c-1', events.opened, 'node/n1');
  journal.advance('c-1', 300);
  journal.advance('c-1', 400);
  expect(changes.map(({ addedBytes }) => addedBytes)).toEqual([0, 300, 100]);
  expect(changes[0]).toMatchObject({ event: events.opened, captureId: 'c-1' });
  expect(changes[0]?.capture()).toMatchObject({ state: { phase: 'acquiring' } });
  stop();
  journal.apply('c-1', events.canceled, 'operator/alice');
  expect(changes).toHaveLength(3);
});

test('a failure in the middle of a change leaves nothing of it behind', () => {
  using opened = openJournal();
  const { journal, database } = opened;
  journal.create(of('c-1'), 'key', 10_000);
  database.exec(`CREATE TRIGGER refuse BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END`);
  expect(() => journal.apply('c-1', events.opened, 'node/n1')).toThrow(
    'the journal could not be written (disk I/O error)',
  );
  expect(() => journal.create(of('c-2', 'n2'), 'key-2', 10_000)).toThrow(Fault);
  database.exec('DROP TRIGGER refuse');
  expect(journal.get('c-1').state).toEqual({ phase: 'requested' });
  expect(journal.find('c-2')).toBeUndefined();
  expect(journal.apply('c-1', events.opened, 'node/n1').kind).toBe('moved');
});

test('captures are listed newest first, page by page, of one node or of all', () => {
  using opened = openJournal();
  const { journal } = opened;
  for (let index = 0; index < 7; index += 1) {
    const requestedAt = `2026-01-01T00:00:0${Math.floor(index / 2)}.000Z`;
    journal.create({ ...of(`c-${index}`, index % 3 === 0 ? 'n1' : 'n2'), requestedAt }, `key-${index}`, 100_000);
    journal.apply(`c-${index}`, events.canceled, 'operator/alice');
  }
  const ids = (options: Parameters<CaptureJournal['list']>[0]) =>
    journal.list(options).map(({ request: { id } }) => id);
  expect(ids({ limit: 10 })).toEqual(['c-6', 'c-5', 'c-4', 'c-3', 'c-2', 'c-1', 'c-0']);
  expect(ids({ limit: 3 })).toEqual(['c-6', 'c-5', 'c-4']);
  expect(ids({ limit: 3, before: journal.get('c-4').request })).toEqual(['c-3', 'c-2', 'c-1']);
  expect(ids({ limit: 10, nodeName: 'n1' })).toEqual(['c-6', 'c-3', 'c-0']);
  expect(() => journal.get('c-9')).toThrow("there is no capture c-9: list them with 'kcorder get captures'");
});
