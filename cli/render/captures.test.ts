import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { AnalysisState, OutcomeKind, Phase } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { expect, test } from 'vitest';
import { captureOf, takenMs } from '../fixtures/lab-capture.ts';
import { deletedOf, legalHold, storageOf } from '../fixtures/lab-schedule.ts';
import type { Look } from '../output/grid.ts';
import { paintFor } from '../output/paint.ts';
import { capturesTable, captureText } from './captures.ts';

const look: Look = { paint: paintFor(false), width: undefined, wide: false };
const nowMs = takenMs + 3_600_000;
const partial = captureOf({
  id: '0193a5ffff',
  outcome: { kind: OutcomeKind.PARTIAL, reason: 'acquirer_died', detail: 'AVML was killed' },
  analysis: { state: AnalysisState.SKIPPED, reason: 'image_partial' },
  interruptions: [{ at: timestampFromMs(takenMs + 4000), offset: 104_857_600n, cause: 'the connection\x1b[2J broke' }],
  reason: 'again\nand again',
});
const running = captureOf({
  id: '01',
  phase: Phase.ACQUIRING,
  outcome: undefined,
  analysis: undefined,
  durableBytes: 0n,
} as object);

test('captures, one a line', () => {
  expect(capturesTable([captureOf({ storage: storageOf() }), partial, running], look, nowMs)).toBe(
    `
ID          NODE   PHASE      OUTCOME   ANALYSIS  EVIDENCE       SIZE  AGE  REASON
0193a5c2d7  lab-1  done       complete  done      store     330.1 MiB   1h  INC-4711 beacon
0193a5ffff  lab-1  done       PARTIAL   skipped   -         330.1 MiB   1h  again\\nand again
01          lab-1  acquiring  -         -         -                 -   1h  INC-4711 beacon
`.trimStart(),
  );
});

test.each([
  ['plugins_failed', 'done (1 FAILED)'],
  ['canceled', 'done (1 canceled)'],
])('an addition that ended as %s hides no earlier results', (reason, word) => {
  const analysis = { state: AnalysisState.FAILED, reason, spec: { plugins: [{ name: 'linux.bash.Bash' }] } };
  const kept = captureOf({ analysis: { ...analysis, resultsKept: true } });
  expect(captureText(kept, look, nowMs)).toMatch(new RegExp(` complete +${word.replaceAll(/[()]/g, '\\$&')} `));
  expect(captureText(captureOf({ analysis }), look, nowMs)).toMatch(/ complete +FAILED /);
});

test('one capture with its details', () => {
  expect(captureText(partial, look, nowMs)).toBe(
    `
ID          NODE   PHASE  OUTCOME  ANALYSIS  EVIDENCE       SIZE  AGE  REASON
0193a5ffff  lab-1  done   PARTIAL  skipped   -         330.1 MiB   1h  again\\nand again

requested    2026-11-22 19:03:10 UTC by alice
outcome      PARTIAL, acquirer_died: AVML was killed
analysis     skipped, image_partial
interrupted  2026-11-22 19:03:15 UTC at 100.0 MiB, resumed: the connection\\x1b[2J broke
evidence     /var/lib/kcorder/evidence/0193a5c2d7/image.lime
sha-256      9f2c8e1d5b7a4c3f0e6d9b8a7c5f4e3d2c1b0a9f8e7d6c5b4a3f2e1d0c9b8a7f
`.trimStart(),
  );
});

test('what AVML left out stands beside complete', () => {
  const leftOutMemory = [
    { kind: 'kmem', bytes: 8n << 30n },
    { kind: 'virtio_mem', bytes: 2n << 30n },
  ];
  const text = captureText(captureOf({ leftOutMemory }), look, nowMs);
  expect(text).toMatch(/^0193a5c2d7 +lab-1 +done +complete, 10\.0 GiB left out +done /m);
  expect(text).toMatch(
    /^left out +not in the image: memory that the kernel uses \(kmem 8\.0 GiB, virtio_mem 2\.0 GiB\)\. AVML /m,
  );
  expect(capturesTable([captureOf({ leftOutMemory, outcome: undefined } as object)], look, nowMs)).toMatch(/ done +- /);
});

test('an approved capture that waits says so', () => {
  const text = captureText(captureOf({ phase: Phase.REQUESTED, waiting: true, approvedBy: 'bob' }), look, nowMs);
  expect(text).toMatch(/^0193a5c2d7 +lab-1 +waiting /m);
  expect(text).toMatch(/^approved +by bob\nwaiting +for a free slot \(so many captures run at once\)$/m);
});

test('wide adds who, when, where and the digest', () => {
  const [header] = capturesTable([captureOf()], { ...look, wide: true }, nowMs).split('\n');
  expect(header?.split(/ {2,}/)).toEqual(
    'ID,NODE,PHASE,OUTCOME,ANALYSIS,EVIDENCE,SIZE,AGE,REQUESTED (UTC),REQUESTED BY,SCHEDULE,HOLDS,SHA-256,LOCATION,REASON'.split(
      ',',
    ),
  );
});

test('wide names the schedule, counts the holds and tells where the bytes are', () => {
  const storage = storageOf({ location: 'gs://evidence/captures/0193a5c2d7/image.lime.zst', holds: [legalHold] });
  const capture = captureOf({ storage, schedule: 'nightly', requestedBy: 'schedule/nightly' });
  const [, line] = capturesTable([capture], { ...look, wide: true }, nowMs).split('\n');
  expect(line?.split(/ {2,}/).slice(5)).toEqual([
    'store, held',
    '330.1 MiB',
    '1h',
    '2026-11-22 19:03:10',
    'schedule/nightly',
    'nightly',
    '1',
    captureOf().sha256,
    'gs://evidence/captures/0193a5c2d7/image.lime.zst',
    'INC-4711 beacon',
  ]);
});

test('one capture tells its schedule, where its evidence is, what keeps it, and when it was verified', () => {
  const text = captureText(captureOf({ storage: storageOf({ holds: [legalHold] }), schedule: 'nightly' }), look, nowMs);
  expect(text.slice(text.indexOf('\n\n'))).toBe(
    `

requested    2026-11-22 19:03:10 UTC by alice
schedule     nightly
outcome      complete
analysis     done
evidence     /var/lib/kcorder/evidence/0193a5c2d7/image.lime.zst
sha-256      9f2c8e1d5b7a4c3f0e6d9b8a7c5f4e3d2c1b0a9f8e7d6c5b4a3f2e1d0c9b8a7f
stored       94.0 MiB, CRC-32C 1a2b3c4d
verified     2026-11-22 19:04:11 UTC
hold         2026-11-22 20:03:11 UTC by alice: legal hold, case 17
`,
  );
});

test('a capture whose evidence is deleted has no place, but its tombstone', () => {
  const text = captureText(captureOf({ storage: deletedOf() }), look, nowMs);
  expect(text).toMatch(/^0193a5c2d7 .* deleted +330\.1 MiB /m);
  expect(text).not.toMatch(/^evidence /m);
  expect(text).toContain('\ndeleted      2026-11-22 21:03:11 UTC by bob: INC-4711 is closed\n');
});
