import { mkdtempSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '@kcorder/proto/fault.ts';
import { AnalysisState, Phase } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { Severity } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Certificates, makeCertificates, startCollector } from '../fixtures/collector.ts';
import { runCommand, type Surroundings } from '../fixtures/command.ts';
import { hostileTexts } from '../fixtures/hostile-text.ts';
import { analysisOf, captureOf } from '../fixtures/lab-capture.ts';
import { deletedOf } from '../fixtures/lab-schedule.ts';

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

const hostile = 'c1\x1b[2J\u202e';
test.each([
  ['evidence_held', 'delete c1 --reason x --yes', 1],
  ['evidence_retained', 'delete c1 --reason x --yes', 1],
  ['evidence_deleted', 'hold c1 --reason x', 1],
  ['invalid_argument', 'release c1 --reason x', 2],
  ['evidence_deleted', 'verify c1', 1],
  ['capture_running', 'analyze c1', 1],
  ['evidence_deleted', 'analyze c1 --wait', 1],
  ['store_refused', 'admin store-check', 1],
  ['evidence_deleted', 'ps c1', 1],
] as const)("the fault %s ends kcorder %s in the collector's words", async (code, line, exit) => {
  const refuse = () => Promise.reject(new Fault(code, `this is ${code} of ${hostile}`));
  // biome-ignore lint/correctness/useYield: a stream that is refused has no messages.
  const refuseStream = async function* (): AsyncGenerator<never> {
    await refuse();
  };
  const ran = await kcorder(line, {
    deleteEvidence: refuse,
    holdEvidence: refuse,
    releaseEvidence: refuse,
    verifyEvidence: refuseStream,
    checkStore: refuseStream,
    analyzeCapture: refuse,
    getCapture: async () => ({ capture: captureOf() }),
    getAnalysis: refuse,
  });
  expect(ran).toEqual({ exit, stdout: '', stderr: `kcorder: this is ${code} of c1\\x1b[2J\\u202e.\n` });
});

test.each([
  'delete c1 --reason x --yes',
  'hold c1 --reason x',
  'release c1 --reason x',
  'verify c1',
  'admin store-check',
])('a collector that is older than this is named as such: kcorder %s', async (line) => {
  await using collector = await startCollector(certificates, {}, { old: true });
  const environment = { KCORDER_COLLECTOR: collector.address, KCORDER_TLS_DIR: certificates.operatorDir };
  const ran = await runCommand(line.split(' '), { environment });
  expect(ran.stderr).toMatch(
    /^kcorder: the collector at .* does not know this command\. Is it older than this program\?/,
  );
  expect(ran.exit).toBe(1);
});

test('a download of deleted evidence ends in the words of the collector and leaves no file', async () => {
  const dir = mkdtempSync(join(certificates.dir, 'download-'));
  const ran = await kcorder(`download c1 -f ${join(dir, 'c1.lime')}`, {
    // biome-ignore lint/correctness/useYield: a stream that is refused has no messages.
    downloadEvidence: async function* () {
      throw new Fault('evidence_deleted', 'the evidence of capture c1 was deleted by bob');
    },
  });
  expect(ran).toEqual({ exit: 1, stdout: '', stderr: 'kcorder: the evidence of capture c1 was deleted by bob.\n' });
  expect(readdirSync(dir)).toEqual([]);
});

test.each([
  ['no reason to delete', 'delete c1', /^kcorder: required option '--reason <text>' not specified\n/],
  ['no reason to hold', 'hold c1', /^kcorder: required option '--reason <text>' not specified\n/],
  ['no reason to release', 'release c1', /^kcorder: required option '--reason <text>' not specified\n/],
  ['nothing to verify', 'verify', /^kcorder: name a capture, or give --audit/],
  ['--timeout without --wait', 'analyze c1 --timeout 5m', /^kcorder: --timeout says how long --wait waits/],
  ['no command of admin', 'admin', /^Usage: kcorder admin/],
])('%s is refused before anything is asked', async (_what, line, expected) => {
  const ran = await runCommand(line.split(' '));
  expect(ran.stderr).toMatch(expected);
  expect(ran.stdout).toBe('');
  expect(ran.exit).toBe(2);
});

test.each(['delete', 'hold', 'release', 'verify', 'analyze', 'admin store-check'])(
  'kcorder %s --help shows examples',
  async (verb) => {
    const ran = await runCommand([...verb.split(' '), '--help']);
    expect(ran.stdout.split('Examples:')[1]?.match(/^ {2}kcorder /gm)?.length).toBeGreaterThanOrEqual(2);
    expect(ran.exit).toBe(0);
  },
);

const again = captureOf({ analysis: { state: AnalysisState.RUNNING } });
const analysing: Handlers = {
  analyzeCapture: async () => ({ capture: again }),
  watchCapture: async function* () {
    yield { capture: again };
    yield { capture: captureOf() };
  },
  getAnalysis: async () => analysisOf(),
};

test('analyze has a capture analyzed again, and says how to go on', async () => {
  const ran = await kcorder('analyze c1', analysing);
  expect(ran.stdout).toMatch(/^ID .*\n0193a5c2d7 +lab-1 +done +complete +running /);
  expect(ran.stderr).toBe(
    'The image of capture c1 is analyzed again; the results take the place of the earlier ones.\n`kcorder watch c1` follows it, `kcorder ps c1` shows the processes.\n',
  );
  expect(ran.exit).toBe(0);
  expect(JSON.parse((await kcorder('analyze c1 -o json', analysing)).stdout)).toMatchObject({
    phase: 'PHASE_DONE',
    analysis: { state: 'ANALYSIS_STATE_RUNNING' },
  });
});

test('analyze --wait follows a capture that stays done to the end of its analysis', async () => {
  const ran = await kcorder('analyze c1 --wait', analysing);
  expect(ran.stderr).toContain('\nlab-1: analyzing  330.1 MiB  0s\n');
  expect(ran.stdout).toMatch(/lab-1 > demo > exfil-demo > netcat\n512 .*nc -lk/);
  expect(ran.exit).toBe(0);
});

test('analyze --wait of one that fails again says why', async () => {
  const failed = captureOf({ analysis: { state: AnalysisState.FAILED, reason: 'symbols_missing', detail: 'none' } });
  const ran = await kcorder('analyze c1 --wait', {
    ...analysing,
    watchCapture: async function* () {
      yield { capture: again };
      yield { capture: failed };
    },
  });
  expect(ran.stderr).toContain(
    'warning: no process list: the analysis of capture 0193a5c2d7 is FAILED: symbols_missing',
  );
  expect(ran.exit).toBe(1);
});

test('findings are told, the gravest first, with how grave they are', async () => {
  const findings = [
    { severity: Severity.INFO, rule: 'smear', detail: 'two lists differ' },
    { severity: Severity.CRITICAL, rule: 'kernel_mismatch', detail: 'another kernel' },
    { severity: Severity.WARNING, rule: 'hidden_process', detail: '' },
  ];
  const handlers: Handlers = {
    getCapture: async () => ({ capture: captureOf() }),
    getAnalysis: async () => analysisOf({ kernelMismatch: true, findings }),
    watchCapture: async function* () {
      yield { capture: captureOf() };
    },
  };
  const told = `warning: finding (critical): kernel_mismatch: another kernel
warning: finding (warning): hidden_process
finding (info): smear: two lists differ
`;
  expect((await kcorder('ps c1', handlers)).stderr).toBe(told);
  expect((await kcorder('watch c1', handlers)).stderr).toContain(told);
  const json = JSON.parse((await kcorder('ps c1 -o json', handlers)).stdout);
  expect(json.findings[1]).toEqual({
    severity: 'SEVERITY_CRITICAL',
    rule: 'kernel_mismatch',
    detail: 'another kernel',
  });
});

test('a terminal obeys nothing that a finding says', async () => {
  const findings = hostileTexts.map((text) => ({ severity: Severity.CRITICAL, rule: text, detail: text }));
  const { stderr } = await kcorder('ps c1', {
    getCapture: async () => ({ capture: captureOf() }),
    getAnalysis: async () => analysisOf({ findings }),
  });
  expect(stderr).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  expect(stderr.split('\n')).toHaveLength(findings.length + 1);
});

const gone = captureOf({ storage: deletedOf() });
const failedAndGone = captureOf({ storage: deletedOf(), analysis: { state: AnalysisState.FAILED, reason: 'timeout' } });

test('a capture whose evidence is deleted says so where others say how to get it', async () => {
  const watched = await kcorder('watch c1', {
    watchCapture: async function* () {
      yield { capture: gone };
    },
    getAnalysis: async () => analysisOf(),
  });
  expect(watched.stderr).toBe(
    'warning: the evidence of capture 0193a5c2d7 is deleted: 2026-11-22 21:03:11 UTC by bob: INC-4711 is closed\n',
  );
  const ran = await kcorder('ps c1', { getCapture: async () => ({ capture: failedAndGone }) });
  expect(ran.stderr).toMatch(
    /is FAILED: timeout; its evidence is deleted: 2026-11-22 21:03:11 UTC by bob: .*closed\.\n$/,
  );
});

test('a node means its newest analyzed capture that is still there', async () => {
  const listed: Handlers = {
    getCapture: () => Promise.reject(new Fault('capture_unknown', 'no')),
    getAnalysis: async () => analysisOf(),
  };
  const left = captureOf({ id: 'older' });
  const found = await kcorder('ps lab-1', { ...listed, listCaptures: async () => ({ captures: [gone, left] }) });
  expect(found.stderr).toContain('capture 0193a5c2d7 of lab-1 is newer, but has no process list; this is older');
  expect(found.exit).toBe(0);
  const none = await kcorder('ps lab-1', { ...listed, listCaptures: async () => ({ captures: [gone] }) });
  expect(none.stderr).toBe(
    'kcorder: no capture of node lab-1 has a process list: the evidence of capture 0193a5c2d7, the newest that had one, is deleted. See `kcorder get captures 0193a5c2d7`.\n',
  );
  expect(none.exit).toBe(1);
});

test('evidence in a bucket is said to be there, not on the collector', async () => {
  const location = 'gs://evidence/captures/0193a5c2d7/image.lime.zst';
  const { stderr } = await kcorder('watch c1', {
    watchCapture: async function* () {
      yield { capture: captureOf({ phase: Phase.DONE, storage: { location } }) };
    },
    getAnalysis: async () => analysisOf(),
  });
  expect(stderr).toContain(`evidence complete: 330.1 MiB at ${location}, SHA-256 of the image `);
});
