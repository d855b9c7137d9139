import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfinementLevel } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import { expect, test } from 'vitest';
import { presentAnalysis } from '../api/present-analysis.ts';
import { EvidenceDirectory } from '../evidence/evidence-directory.ts';
import { openDatabase } from '../journal/database.ts';
import { FindingJournal } from '../journal/finding-journal.ts';
import { makeScratch } from '../testing/files.ts';
import { request, states } from '../testing/states.ts';
import type { AnalysisReport } from './analysis.ts';
import { recordFindings } from './record-findings.ts';
import { writeReport } from './report-file.ts';
import { rowPath } from './row-file.ts';

const capture = { request, state: states.done, durableBytes: 0 };
const columns = ['pid', 'comm', 'kernelThread', 'exe'];

function reportOf(change: Partial<AnalysisReport>): AnalysisReport {
  const processes = {
    name: 'processes',
    state: 'rows',
    reason: '',
    rowCount: 1,
    seconds: 1,
    warnings: [],
    columns,
  } as const;
  const hidden = { ...processes, name: 'hiddenModules', columns: ['name', 'offset'] };
  return {
    captureId: request.id,
    state: 'done',
    reason: '',
    detail: '',
    kernelMismatch: true,
    versions: {},
    isolation: {
      ...{ network: 'none', endsWithCollector: true },
      confined: { level: 'partial', landlockAbi: 0, seccomp: true },
    },
    plugins: [processes, hidden],
    containers: [],
    diagnostics: [],
    startedAt: '2026-01-01T00:00:00.000Z',
    seconds: 1,
    ...change,
  };
}

function openDesk() {
  const scratch = makeScratch();
  const database = openDatabase(scratch.dir);
  const [evidence, findings, failures] = [
    new EvidenceDirectory(scratch.dir),
    new FindingJournal(database),
    [] as unknown[],
  ];
  const outputDir = join(evidence.pathOf(request.id), 'analysis');
  mkdirSync(outputDir, { recursive: true });
  writeFileSync(rowPath(outputDir, 'processes'), '[7, "x", false, "/memfd:x (deleted)"]\n');
  writeFileSync(rowPath(outputDir, 'hiddenModules'), '["diamorphine", "0xffffffffc0236340"]\n');
  const close = () => {
    database.close();
    scratch[Symbol.dispose]();
  };
  const record = (report: AnalysisReport) =>
    recordFindings(capture, report, evidence, findings, (error) => void failures.push(error));
  return { evidence, findings, failures, outputDir, record, [Symbol.dispose]: close };
}

test('what is in the report and in the rows goes on record, and the API tells it', async () => {
  using orders = openDesk();
  const report = reportOf({});
  await writeReport(orders.outputDir, report);
  const found = await orders.record(report);
  expect(found.map(({ rule }) => rule)).toEqual(['kernel_mismatch', 'hidden_module', 'executable_in_memory']);
  expect(orders.findings.of(request.id)).toEqual(found);
  const { findings, confinement } = await presentAnalysis(
    capture,
    orders.evidence,
    { rowPlugins: [], unmask: false },
    orders.findings,
  );
  expect(confinement).toEqual({ level: ConfinementLevel.PARTIAL, landlockAbi: 0, seccomp: true });
  expect(findings).toMatchObject([
    { severity: 3, rule: 'kernel_mismatch' },
    { severity: 3, rule: 'hidden_module' },
    { severity: 2, rule: 'executable_in_memory' },
  ]);
});

test('an analysis again takes the place of the first, and one that failed does not', async () => {
  using orders = openDesk();
  await orders.record(reportOf({}));
  const failed = { state: 'failed', reason: 'timeout', plugins: [], kernelMismatch: false } as const;
  await orders.record(reportOf(failed));
  expect(orders.findings.of(request.id).length).toBe(3);
  await orders.record(reportOf({ kernelMismatch: false, plugins: [] }));
  expect(orders.findings.of(request.id)).toEqual([]);
});

test('rows that cannot be read are told, and cost nothing of what the report says', async () => {
  using orders = openDesk();
  rmSync(rowPath(orders.outputDir, 'processes'));
  expect((await orders.record(reportOf({}))).map(({ rule }) => rule)).toEqual(['kernel_mismatch', 'hidden_module']);
  expect(orders.failures).toMatchObject([{ code: 'evidence_missing' }]);
});
