import { create } from '@bufbuild/protobuf';
import {
  CheckState,
  CheckStoreResponseSchema,
  StoragePlace,
  StorageSchema,
  VerdictSchema,
} from '@kcorder/proto/gen/kcorder/v1/evidence_pb.ts';
import { expect, test } from 'vitest';
import { hostileTexts } from '../fixtures/hostile-text.ts';
import { captureOf, takenMs } from '../fixtures/lab-capture.ts';
import { deletedOf, legalHold, storageOf } from '../fixtures/lab-schedule.ts';
import type { Look } from '../output/grid.ts';
import { paintFor } from '../output/paint.ts';
import { captureText } from './captures.ts';
import { placeWord, storageText } from './storage.ts';
import { storeCheckTable } from './store-check.ts';
import { verdictText } from './verdict.ts';

const look: Look = { paint: paintFor(false), width: undefined, wide: false };
const harmless = /^(?:\n|[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}])*$/u;

test.each([
  ['not told of', undefined, '-'],
  ['not yet at rest', storageOf({ place: StoragePlace.SPOOL }), 'spool'],
  ['at rest', storageOf(), 'store'],
  ['on hold', storageOf({ holds: [legalHold] }), 'store, held'],
  ['damaged', storageOf({ damage: 'bytes differ' }), 'DAMAGED'],
  ['damaged and on hold', storageOf({ damage: 'bytes differ', holds: [legalHold] }), 'DAMAGED, held'],
  ['deleted', deletedOf(), 'deleted'],
  ['in a place that this program is too old for', storageOf({ place: 9 as StoragePlace }), 'unknown (9)'],
])('evidence that is %s', (_what, storage, word) => {
  expect(placeWord(storage)).toBe(word);
});

test('evidence on hold says by whom and why', () => {
  expect(storageText('0193a5c2d7', storageOf({ holds: [legalHold], generation: '17' }), look)).toBe(
    `
CAPTURE     EVIDENCE       STORED  HOLDS  LOCATION
0193a5c2d7  store, held  94.0 MiB      1  /var/lib/kcorder/evidence/0193a5c2d7/image.lime.zst

stored       94.0 MiB, CRC-32C 1a2b3c4d, generation 17
verified     2026-11-22 19:04:11 UTC
hold         2026-11-22 20:03:11 UTC by alice: legal hold, case 17
`.trimStart(),
  );
});

test('evidence that is not in the store says why', () => {
  const storage = storageOf({
    place: StoragePlace.SPOOL,
    location: '/var/lib/kcorder/evidence/0193a5c2d7/image.lime',
    lastError: 'the bucket refused it',
    damage: 'bytes 0 to 16777216 differ',
    crc32c: '',
  });
  expect(storageText('0193a5c2d7', storage, look)).toBe(
    `
CAPTURE     EVIDENCE    STORED  HOLDS  LOCATION
0193a5c2d7  DAMAGED   94.0 MiB      0  /var/lib/kcorder/evidence/0193a5c2d7/image.lime

not stored   the bucket refused it
verified     2026-11-22 19:04:11 UTC
DAMAGED      bytes 0 to 16777216 differ
`.trimStart(),
  );
});

test('deleted evidence leaves a tombstone', () => {
  expect(storageText('0193a5c2d7', deletedOf(), look)).toBe(
    `
CAPTURE     EVIDENCE  STORED  HOLDS  LOCATION
0193a5c2d7  deleted        -      0  -

deleted      2026-11-22 21:03:11 UTC by bob: INC-4711 is closed
`.trimStart(),
  );
});

test('a verdict names the digest, and of damage the bytes', () => {
  const intact = create(VerdictSchema, { intact: true, sha256: 'ab'.repeat(32) });
  expect(verdictText('c1', intact, 346_095_616n, look)).toBe(
    `
CAPTURE  VERDICT  SIZE       SHA-256
c1       intact   330.1 MiB  abababababababababababababababababababababababababababababababab
`.trimStart(),
  );
  const damaged = create(VerdictSchema, {
    detail: 'the SHA-256 of a segment differs',
    badFrom: 16_777_216n,
    badTo: 33_554_432n,
    sha256: 'cd'.repeat(32),
  });
  expect(verdictText('c1', damaged, 346_095_616n, look)).toBe(
    `
CAPTURE  VERDICT  SIZE       SHA-256
c1       DAMAGED  330.1 MiB  cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd

damage       the SHA-256 of a segment differs
bytes        16777216 to 33554432 of 346095616 hold the first of it
`.trimStart(),
  );
});

test('damage in the very beginning has its bytes, and that of a manifest has none', () => {
  const first = create(VerdictSchema, { detail: 'x', badTo: 16n });
  expect(verdictText('c1', first, 32n, look)).toContain('bytes        0 to 16 of 32 hold the first of it\n');
  expect(verdictText('c1', create(VerdictSchema, { detail: 'no manifest' }), 32n, look)).not.toContain('bytes ');
});

test('a check of the store, one step a line', () => {
  const steps = [
    create(CheckStoreResponseSchema, { step: 'put', state: CheckState.OK, detail: '1.0 MiB in 0.4 s' }),
    create(CheckStoreResponseSchema, { step: 'delete', state: CheckState.FAILED, detail: 'refused: grant X' }),
    create(CheckStoreResponseSchema, { step: 'list', state: CheckState.SKIPPED }),
  ];
  expect(storeCheckTable(steps, look)).toBe(
    `
STEP    STATE    DETAIL
put     ok       1.0 MiB in 0.4 s
delete  FAILED   refused: grant X
list    skipped  -
`.trimStart(),
  );
});

test('a terminal obeys nothing that a collector says of evidence', () => {
  const lines = storageText('c1', storageOf({ holds: [legalHold], lastError: 'x', damage: 'x' }), look).split(
    '\n',
  ).length;
  for (const text of hostileTexts) {
    const storage = create(StorageSchema, {
      place: StoragePlace.STORE,
      location: text,
      crc32c: text,
      generation: text,
      lastError: text,
      damage: text,
      holds: [{ by: text, reason: text }],
      tombstone: { by: text, reason: text },
    });
    const shown = storageText(text, storage, look);
    expect(shown).toMatch(harmless);
    expect(shown.split('\n').length).toBeLessThanOrEqual(lines + 1);
    expect(captureText(captureOf({ storage, schedule: text }), { ...look, wide: true }, takenMs)).toMatch(harmless);
    const verdict = create(VerdictSchema, { detail: text, sha256: text, badTo: 1n });
    expect(verdictText(text, verdict, 1n, look).split('\n').length).toBeLessThanOrEqual(6);
    expect(verdictText(text, verdict, 1n, look)).toMatch(harmless);
  }
  const steps = hostileTexts.map((text) => create(CheckStoreResponseSchema, { step: text, detail: text }));
  expect(storeCheckTable(steps, look)).toMatch(harmless);
  expect(storeCheckTable(steps, look).split('\n')).toHaveLength(steps.length + 2);
});
