import { create } from '@bufbuild/protobuf';
import { Fault } from '@kcorder/proto/fault.ts';
import { AnalysisState, OutcomeKind, Phase } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { VerdictSchema } from '@kcorder/proto/gen/kcorder/v1/evidence_pb.ts';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Certificates, type LoopbackCollector, makeCertificates, startCollector } from '../fixtures/collector.ts';
import { runCommand } from '../fixtures/command.ts';
import { analysisOf, captureOf } from '../fixtures/lab-capture.ts';
import { deletedOf } from '../fixtures/lab-schedule.ts';

const running = captureOf({
  ...{ id: 'c20261122t190311-0b', phase: Phase.ACQUIRING, sha256: '' },
  outcome: undefined,
  analysis: undefined,
} as object);
const partial = captureOf({
  ...{ id: 'c20261122t190000-0c', outcome: { kind: OutcomeKind.PARTIAL } },
  analysis: { state: AnalysisState.SKIPPED },
});
const whole = captureOf({ id: 'c20261122t180000-0d' });
const deleted = captureOf({
  ...{ id: 'c20261121t180000-0e', nodeName: 'lab-2' },
  storage: deletedOf(),
});
const misleading = captureOf({ id: 'd20261122t180000-0f', nodeName: 'c20261122t180000-0d0d0d0d' });
/** Newest first, as the collector lists them. */
const captures = [running, partial, whole, deleted, misleading];
const ids = [running, partial, whole, deleted].map(({ id }) => id);

let certificates: Certificates;
let collector: LoopbackCollector;
let taken: string[] = [];
const take = (captureId: string) => {
  taken.push(captureId);
  const capture = captures.find(({ id }) => id === captureId);
  if (capture === undefined) throw new Fault('capture_unknown', `there is no capture ${captureId}`);
  return capture;
};
const kcorder = (line: string) =>
  runCommand(line.split(' '), {
    environment: { KCORDER_COLLECTOR: collector.address, KCORDER_TLS_DIR: certificates.operatorDir },
  });

beforeAll(async () => {
  certificates = makeCertificates();
  const refused = (captureId: string) =>
    Promise.reject(new Fault('capture_unknown', `there is no capture ${captureId}`));
  collector = await startCollector(certificates, {
    getCapture: async ({ captureId }) => {
      const capture = captures.find(({ id }) => id === captureId);
      return capture === undefined ? refused(captureId) : { capture };
    },
    listCaptures: async ({ nodeName, pageToken }) => {
      const found = captures.filter((each) => nodeName === '' || each.nodeName === nodeName);
      const at = Number(pageToken);
      return { captures: found.slice(at, at + 1), nextPageToken: at + 1 < found.length ? String(at + 1) : '' };
    },
    analyzeCapture: async ({ captureId }) => ({ capture: take(captureId) }),
    watchCapture: async function* ({ captureId }) {
      yield { capture: captureOf({ id: take(captureId).id }) };
    },
    getAnalysis: async ({ captureId }) => analysisOf({ capture: take(captureId) }),
    verifyEvidence: async function* ({ captureId }) {
      take(captureId);
      yield { totalBytes: 1n, doneBytes: 1n, verdict: create(VerdictSchema, { intact: true }) };
    },
    // biome-ignore lint/correctness/useYield: it is refused before its first message.
    downloadEvidence: async function* ({ captureId }) {
      take(captureId);
      throw new Fault('evidence_missing', 'seen');
    },
    // biome-ignore lint/correctness/useYield: it is refused before its first message.
    watchAnalysis: async function* ({ captureId }) {
      take(captureId);
      throw new Fault('evidence_missing', 'seen');
    },
    cancelCapture: async ({ captureId }) => ({ capture: take(captureId) }),
    deleteEvidence: async ({ captureId }) => refused(take(captureId).id),
    holdEvidence: async ({ captureId }) => refused(take(captureId).id),
    releaseEvidence: async ({ captureId }) => refused(take(captureId).id),
  });
});
beforeEach(() => {
  taken = [];
});
afterAll(async () => {
  await collector[Symbol.asyncDispose]();
  certificates[Symbol.dispose]();
});

const commands = ['analyze', 'watch', 'watch --plugin files', 'verify', 'download', 'ps'];

test.each(commands)('kcorder %s takes an id and its beginning', async (command) => {
  await kcorder(`${command} ${whole.id}`);
  await kcorder(`${command} c20261122t18`);
  expect(new Set(taken)).toEqual(new Set([whole.id]));
  expect(taken.length % 2).toBe(0);
});

test.each(commands.filter((command) => command !== 'ps'))(
  'kcorder %s of a full id looks nothing up, which would need another right',
  async (command) => {
    const { stderr } = await kcorder(`${command} c20261122t180000-0d0d0d0d`);
    expect(stderr).toContain('there is no capture c20261122t180000-0d0d0d0d');
    expect(new Set(taken)).toEqual(new Set(['c20261122t180000-0d0d0d0d']));
  },
);

test.each([
  ['analyze', whole.id, 'is newer, but has no complete image'],
  ['verify', partial.id, 'is newer, but has no sealed image'],
  ['download', partial.id, 'is newer, but has no sealed image'],
  ['ps', whole.id, 'is newer, but has no process list'],
  ['watch', running.id, ''],
  ['watch --plugin files', running.id, ''],
])('kcorder %s lab-1 takes the newest capture that fits, and names a newer one', async (command, id, told) => {
  const { stderr } = await kcorder(`${command} lab-1`);
  expect(new Set(taken)).toEqual(new Set([id]));
  expect(stderr).toContain(told === '' ? '' : `warning: capture ${running.id} of lab-1 ${told}; this is ${id}`);
});

test('what has the form of an id is no node', async () => {
  const { stderr } = await kcorder('get captures c20261122t180000-0d0d0d0d');
  expect(stderr).toContain('"c20261122t180000-0d0d0d0d" is neither');
});

test('kcorder get captures shows the one that a beginning or a node stands for', async () => {
  expect((await kcorder('get captures c20261122t18')).stdout).toContain(`\n${whole.id} `);
  expect((await kcorder('get captures lab-2')).stdout).toContain(`\n${deleted.id} `);
});

test.each([
  [
    'the beginning of several',
    'watch c2026',
    2,
    `is the beginning of several captures: ${ids.map((id, at) => `${id} (lab-${at < 3 ? 1 : 2})`).join(', ')}. Give more`,
  ],
  ['three characters', 'watch c20', 1, 'nor the beginning of one (at least 4 characters)'],
  ['what is nothing', 'analyze lab-7', 1, '"lab-7" is neither a capture\'s id'],
  [
    'a node whose images are deleted',
    'verify lab-2',
    1,
    `the evidence of capture ${deleted.id}, the newest that had one, is deleted`,
  ],
])('%s is no capture: kcorder %s', async (_what, line, exit, expected) => {
  const ran = await kcorder(line);
  expect(ran.stderr).toContain(expected);
  expect(ran.exit).toBe(exit);
  expect(taken).toEqual([]);
});

test.each(['cancel', 'delete --yes --reason x', 'hold --reason x', 'release --reason x'])(
  'kcorder %s takes a full id only',
  async (command) => {
    const ran = await kcorder(`${command} c20261122t18`);
    expect(ran.stderr).toContain('there is no capture c20261122t18');
    expect(ran.exit).toBe(1);
    expect(taken).toEqual(['c20261122t18']);
  },
);
