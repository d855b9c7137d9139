import { expect, test } from 'vitest';
import { makeScratch } from '../testing/files.ts';
import { end, events, request } from '../testing/states.ts';
import { CaptureJournal } from './capture-journal.ts';
import { openDatabase } from './database.ts';
import { StorageJournal } from './storage-journal.ts';

function open(quotaBytes: number, nodeQuotaBytes: number) {
  const scratch = makeScratch();
  const database = openDatabase(scratch.dir);
  const journal = new CaptureJournal(database, { quotaBytes, nodeQuotaBytes });
  return {
    journal,
    storage: new StorageJournal(database),
    /** Asks for a capture that may become 1,000 bytes. */
    create: (id: string, node = 'n1') =>
      journal.create({ ...request, id, node: { name: node, uid: `uid-${node}` } }, `key-${id}`, 1_000_000),
    /** Seals a capture of 100 bytes. */
    seal: (id: string) => {
      journal.apply(id, events.opened, 'node/n1');
      journal.advance(id, 100);
      journal.apply(id, { ...events.finished, end }, 'node/n1');
      journal.apply(id, events.sealed, 'collector');
      journal.apply(id, events.analysis_ended, 'collector');
    },
    [Symbol.dispose]: () => {
      database.close();
      scratch[Symbol.dispose]();
    },
  };
}

test('of two that want the last room exactly one gets it, and the other says what is used and what to do', () => {
  using opened = open(1_999, 0);
  expect(opened.create('c-1', 'n1').created).toBe(true);
  expect(() => opened.create('c-2', 'n2')).toThrow(
    expect.objectContaining({
      code: 'quota_exceeded',
      message:
        "node n2 needs up to 1000 bytes of evidence, 1000 of 1999 are used: delete evidence that is not needed ('kcorder delete', after 'kcorder release' where it is on hold), or raise KCORDER_QUOTA_BYTES. Nothing was started",
    }),
  );
  expect(opened.journal.find('c-2')).toBeUndefined();
  expect(opened.create('c-1', 'n1').created).toBe(false);
});

test.each([
  { sentence: 'what fits exactly is taken', quota: 2_000, fits: true },
  { sentence: 'a byte less is refused', quota: 1_999, fits: false },
  { sentence: 'without a limit nothing is refused', quota: 0, fits: true },
])('$sentence', ({ quota, fits }) => {
  using opened = open(quota, 0);
  opened.create('c-1', 'n1');
  const second = () => opened.create('c-2', 'n2');
  if (fits) expect(second().created).toBe(true);
  else expect(second).toThrow('are used');
});

test('each node has a quota of its own, and another node is none the worse', () => {
  using opened = open(0, 1_050);
  opened.create('c-1', 'n1');
  opened.seal('c-1');
  expect(() => opened.create('c-2', 'n1')).toThrow(
    'node n1 needs up to 1000 bytes of evidence, 100 of the 1050 that each node may have are used',
  );
  expect(opened.create('c-3', 'n2').created).toBe(true);
});

test('an ended capture counts with what it takes, and with nothing once it is deleted', () => {
  using opened = open(1_050, 0);
  opened.create('c-1');
  opened.seal('c-1');
  expect(() => opened.create('c-2')).toThrow('100 of 1050 are used');
  opened.storage.noteStored(
    'c-1',
    { captureId: 'c-1', file: 'image.lime.zst', location: '/x', bytes: 60, crc32c: '', generation: '' },
    '',
  );
  expect(() => opened.create('c-2')).toThrow('60 of 1050 are used');
  opened.storage.beginDeletion('c-1', 'operator/alice', 'space');
  expect(() => opened.create('c-2')).toThrow('60 of 1050 are used');
  opened.storage.noteDeleted('c-1');
  expect(opened.create('c-2').created).toBe(true);
});

test('what is being sealed counts with what is on disk', () => {
  using opened = open(1_099, 0);
  opened.create('c-1');
  opened.journal.apply('c-1', events.opened, 'node/n1');
  opened.journal.advance('c-1', 100);
  opened.journal.apply('c-1', { ...events.finished, end }, 'node/n1');
  expect(() => opened.create('c-2')).toThrow('100 of 1099 are used');
});
