import { Fault } from '@kcorder/proto/fault.ts';
import { CheckState } from '@kcorder/proto/gen/kcorder/v1/evidence_pb.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { type Certificates, makeCertificates, startCollector } from '../fixtures/collector.ts';
import { runCommand, type Surroundings } from '../fixtures/command.ts';
import { hostileTexts } from '../fixtures/hostile-text.ts';
import { captureOf } from '../fixtures/lab-capture.ts';
import { deletedOf, legalHold, storageOf } from '../fixtures/lab-schedule.ts';

let certificates: Certificates;
beforeAll(() => {
  certificates = makeCertificates();
});
afterAll(() => certificates[Symbol.dispose]());

type Handlers = Parameters<typeof startCollector>[1];

async function kcorder(line: string, handlers: Handlers = {}, surroundings: Surroundings = {}) {
  await using collector = await startCollector(certificates, handlers);
  const environment = { KCORDER_COLLECTOR: collector.address, KCORDER_TLS_DIR: certificates.operatorDir };
  return await runCommand(line.split(' '), { environment, ...surroundings });
}

function deletions() {
  const seen: unknown[] = [];
  const handlers: Handlers = {
    getCapture: async () => ({ capture: captureOf() }),
    deleteEvidence: async ({ captureId, reason }) => {
      seen.push([captureId, reason]);
      return { storage: deletedOf() };
    },
  };
  return { seen, handlers };
}

test('delete asks on a terminal, and says what it would be', async () => {
  const { seen, handlers } = deletions();
  const no = await kcorder('delete c1 --reason x', handlers, { columns: 120, answer: 'no' });
  expect(no.stderr).toBe(
    'Delete the evidence of capture c1 for good: 330.1 MiB of node lab-1, asked for at 2026-11-22 19:03:10 UTC? [y/N] kcorder: nothing was deleted.\n',
  );
  expect(no.exit).toBe(130);
  expect(seen).toEqual([]);
  const yes = await kcorder('delete c1 --reason x --no-color', handlers, { columns: 120, answer: 'yes' });
  expect(yes.stdout).toMatch(/^CAPTURE .*\nc1 +deleted .*\n\ndeleted {6}2026-11-22 21:03:11 UTC by bob: INC-4711 is/);
  expect(yes.exit).toBe(0);
  expect(seen).toEqual([['c1', 'x']]);
});

test('delete needs --yes where nobody can be asked', async () => {
  const { seen, handlers } = deletions();
  const without = await kcorder('delete c1 --reason x', handlers);
  expect(without.stderr).toBe(
    'kcorder: the evidence of capture c1 was not deleted: 330.1 MiB of node lab-1, asked for at 2026-11-22 19:03:10 UTC. Repeat with --yes.\n',
  );
  expect(without.exit).toBe(2);
  expect(seen).toEqual([]);
  const ran = await kcorder('delete c1 --reason x --yes -o json', handlers);
  expect(JSON.parse(ran.stdout)).toMatchObject({
    captureId: 'c1',
    storage: { place: 'STORAGE_PLACE_DELETED', tombstone: { by: 'bob' } },
  });
  expect(ran.stderr).toBe(
    'The evidence of capture c1 is deleted. Who did it, when and why stays, and so do the capture and its audit records.\n',
  );
  expect(seen).toEqual([['c1', 'x']]);
});

test('a question shows what a node is called, and obeys nothing of it', async () => {
  for (const nodeName of hostileTexts.filter((_text, index) => index % 10 === 0)) {
    const ran = await kcorder(
      'delete c1 --reason x',
      { getCapture: async () => ({ capture: captureOf({ nodeName }) }) },
      { columns: 120, answer: '' },
    );
    expect(ran.stderr.trimEnd()).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  }
});

test('hold and release are told to the collector with their reasons', async () => {
  const seen: unknown[] = [];
  const handlers: Handlers = {
    holdEvidence: async ({ captureId, reason }) => {
      seen.push(['hold', captureId, reason]);
      return { storage: storageOf({ holds: [legalHold] }) };
    },
    releaseEvidence: async ({ captureId, reason }) => {
      seen.push(['release', captureId, reason]);
      return { storage: storageOf() };
    },
  };
  const held = await kcorder('hold c1 --reason case-17', handlers);
  const released = await kcorder('release c1 --reason closed', handlers);
  expect(seen).toEqual([
    ['hold', 'c1', 'case-17'],
    ['release', 'c1', 'closed'],
  ]);
  expect(held.stdout).toMatch(
    /^CAPTURE .*\nc1 +store, held .* 1 .*\n\n.*\nhold {9}2026-11-22 20:03:11 UTC by alice: /s,
  );
  expect(held.stderr).toBe('The evidence of capture c1 is on hold: nothing deletes it before `kcorder release`.\n');
  expect(released.stdout).toMatch(/^CAPTURE .*\nc1 +store .* 0 /);
  expect(released.stderr).toMatch(/^The evidence of capture c1 is on hold no longer: .* may delete it\.\n$/);
  expect([held.exit, released.exit]).toEqual([0, 0]);
  const json = JSON.parse((await kcorder('hold c1 --reason x -o json', handlers)).stdout);
  expect(json).toMatchObject({ captureId: 'c1', storage: { holds: [{ by: 'alice' }], storedBytes: '98566144' } });
  expect(parse((await kcorder('hold c1 --reason x -o yaml', handlers)).stdout)).toEqual(json);
});

test('an answer without the evidence is a defect of the collector', async () => {
  const ran = await kcorder('hold c1 --reason x', { holdEvidence: async () => ({}) });
  expect(ran.stderr).toMatch(/kcorder: the collector answered without the evidence of capture c1\. Report it\.\n$/);
  expect(ran.exit).toBe(1);
});

const verifying = (verdict: object): Handlers => ({
  verifyEvidence: async function* () {
    yield { doneBytes: 0n, totalBytes: 346_095_616n };
    yield { doneBytes: 346_095_616n, totalBytes: 346_095_616n, verdict };
  },
});

test('verify of an intact image names its digest', async () => {
  const handlers = verifying({ intact: true, sha256: 'ab'.repeat(32) });
  const ran = await kcorder('verify c1', handlers);
  expect(ran).toEqual({
    exit: 0,
    stdout: `CAPTURE  VERDICT  SIZE       SHA-256\nc1       intact   330.1 MiB  ${'ab'.repeat(32)}\n`,
    stderr: '',
  });
  expect(JSON.parse((await kcorder('verify c1 -o json', handlers)).stdout)).toEqual({
    captureId: 'c1',
    totalBytes: '346095616',
    verdict: { intact: true, detail: '', badFrom: '0', badTo: '0', sha256: 'ab'.repeat(32) },
  });
});

test('verify of a damaged image names the bytes and what to do, and its exit code is that of partial evidence', async () => {
  const handlers = verifying({
    detail: 'the SHA-256 of a segment differs\x1b[2J',
    badFrom: 16_777_216n,
    badTo: 33_554_432n,
    sha256: 'cd'.repeat(32),
  });
  const ran = await kcorder('verify c1', handlers);
  expect(ran.stdout).toContain('\nbytes        16777216 to 33554432 of 346095616 hold the first of it\n');
  expect(ran.stderr).toBe(
    'warning: the evidence of capture c1 is DAMAGED: the SHA-256 of a segment differs\\x1b[2J\nKeep what is there (`kcorder hold c1 --reason TEXT`), look for a copy that somebody downloaded, and examine the disk or bucket that it lies on.\n',
  );
  expect(ran.exit).toBe(3);
  const json = await kcorder('verify c1 -o json', handlers);
  expect(JSON.parse(json.stdout).verdict).toMatchObject({ intact: false, badFrom: '16777216', badTo: '33554432' });
  expect(json.exit).toBe(3);
});

test('verify shows on a terminal how far it is, and leaves nothing of it behind', async () => {
  const shown = Promise.withResolvers<void>();
  const ran = await kcorder(
    'verify c1',
    {
      verifyEvidence: async function* () {
        yield { doneBytes: 173_047_808n, totalBytes: 346_095_616n };
        await shown.promise;
        yield { doneBytes: 346_095_616n, totalBytes: 346_095_616n, verdict: { intact: true } };
      },
    },
    { columns: 120, wrote: (text) => text.includes('verifying') && shown.resolve() },
  );
  expect(ran.stderr).toContain('\r\x1b[Kverifying c1: 165.0 MiB of 330.1 MiB  50%');
  expect(ran.stderr.endsWith('\r\x1b[K')).toBe(true);
  expect(ran.exit).toBe(0);
});

test('verify without a verdict is no success', async () => {
  const ran = await kcorder('verify c1', {
    verifyEvidence: async function* () {
      yield { doneBytes: 1n, totalBytes: 2n };
    },
  });
  expect(ran.stderr).toBe(
    'kcorder: the collector ended the verification of capture c1 without a verdict. Try again.\n',
  );
  expect(ran.stdout).toBe('');
  expect(ran.exit).toBe(1);
});

test('an interrupted verification ends with exit code 130', async () => {
  const interrupt = new AbortController();
  const ran = await kcorder(
    'verify c1',
    {
      verifyEvidence: async function* (_request, { signal }) {
        yield { doneBytes: 1n, totalBytes: 2n };
        interrupt.abort();
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
      },
    },
    { interrupt: interrupt.signal },
  );
  expect(ran.stderr).toMatch(/kcorder: interrupted\.\n$/);
  expect(ran.exit).toBe(130);
});

const steps: { step: string; state: CheckState; detail: string }[] = [
  { step: 'put', state: CheckState.OK, detail: '1.0 MiB' },
  { step: 'delete', state: CheckState.FAILED, detail: 'grant storage.objects.delete\x1b[2J' },
  { step: 'holds', state: CheckState.SKIPPED, detail: 'this store has none' },
];
const checking = (seen: typeof steps): Handlers => ({
  checkStore: async function* () {
    yield* seen;
  },
});

test('store-check tells each step, and fails with one of them', async () => {
  const ran = await kcorder('admin store-check', checking(steps));
  expect(ran.stdout).toBe(
    `STEP    STATE    DETAIL
put     ok       1.0 MiB
delete  FAILED   grant storage.objects.delete\\x1b[2J
holds   skipped  this store has none
`,
  );
  expect(ran.stderr).toBe('warning: the evidence store is not fit: 1 of 3 steps failed\n');
  expect(ran.exit).toBe(1);
  const json = JSON.parse((await kcorder('admin store-check -o json', checking(steps))).stdout);
  expect(json.steps.map(({ state }: { state: string }) => state)).toEqual([
    'CHECK_STATE_OK',
    'CHECK_STATE_FAILED',
    'CHECK_STATE_SKIPPED',
  ]);
});

test.each([
  [
    'where a step has nothing to try is well',
    steps.filter(({ state }) => state !== CheckState.FAILED),
    0,
    'The evidence store takes, gives back and deletes as the collector needs it.\n',
  ],
  [
    'with a step that this program is too old for is not',
    [{ step: 'put', state: 9 as CheckState, detail: '' }],
    1,
    'warning: the evidence store is not fit: 1 of 1 steps failed\n',
  ],
  ['of nothing is a defect', [], 1, 'kcorder: the collector checked nothing of its evidence store. Report it.\n'],
])('a check of the store %s', async (_what, seen, exit, stderr) => {
  const ran = await kcorder('admin store-check', checking(seen));
  expect(ran.stderr).toBe(stderr);
  expect(ran.exit).toBe(exit);
});

test('a check that breaks off shows what was seen before, and is no success', async () => {
  const ran = await kcorder('admin store-check', {
    checkStore: async function* () {
      yield* steps.slice(0, 1);
      throw new Fault('storage_failed', 'the bucket did not answer');
    },
  });
  expect(ran.stdout).toBe('STEP  STATE  DETAIL\nput   ok     1.0 MiB\n');
  expect(ran.stderr).toBe('kcorder: the bucket did not answer.\n');
  expect(ran.exit).toBe(1);
});
