import type { MessageInitShape } from '@bufbuild/protobuf';
import { Fault } from '@kcorder/proto/fault.ts';
import { PluginState } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import {
  ConfinementLevel,
  type GetAnalysisResponseSchema,
  Severity,
} from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { readProcesses, readReport, readRows } from '../analysis/results.ts';
import type { EvidenceDirectory } from '../evidence/evidence-directory.ts';
import type { JournaledCapture } from '../journal/captures.ts';
import type { FindingJournal } from '../journal/findings.ts';
import { presentQuality } from './present-symbols.ts';

type Response = Extract<MessageInitShape<typeof GetAnalysisResponseSchema>, { $typeName?: never }>;

const severities = { info: Severity.INFO, warning: Severity.WARNING, critical: Severity.CRITICAL } as const;
const levels = {
  none: ConfinementLevel.NONE,
  partial: ConfinementLevel.PARTIAL,
  full: ConfinementLevel.FULL,
} as const;
const states = { rows: PluginState.ROWS, empty: PluginState.EMPTY, failed: PluginState.FAILED } as const;

/** The results of a capture's analysis; no plugins at all before it has ended or when it never ran. Throws invalid_argument. */
export async function presentAnalysis(
  capture: JournaledCapture,
  evidence: EvidenceDirectory,
  rowPlugins: readonly string[],
  findings: Pick<FindingJournal, 'of'>,
): Promise<Response> {
  const { request, state } = capture;
  if (state.phase !== 'done') return {};
  const outputDir = `${evidence.pathOf(request.id)}/analysis`;
  const report = await readReport(outputDir);
  if (report === undefined) return {};
  const unknown = rowPlugins.filter((name) => !report.plugins.some((plugin) => plugin.name === name));
  if (unknown.length > 0) {
    const known = report.plugins.map(({ name }) => name).join(', ');
    throw new Fault(
      'invalid_argument',
      `capture ${request.id} has no plugin ${unknown.join(', ')}; there are ${known}`,
    );
  }
  const plugins = report.plugins.map(async (plugin) => ({
    name: plugin.name,
    state: states[plugin.state],
    reason: plugin.reason,
    rowCount: BigInt(plugin.rowCount),
    seconds: plugin.seconds,
    warnings: [...plugin.warnings],
    columns: [...plugin.columns],
    rows: rowPlugins.includes(plugin.name) && plugin.state === 'rows' ? await readRows(outputDir, plugin.name) : [],
  }));
  const { confined } = report.isolation;
  return {
    plugins: await Promise.all(plugins),
    processes: await readProcesses(outputDir, report),
    containers: report.containers.map((container) => ({ ...container })),
    kernelMismatch: report.kernelMismatch,
    findings: findings
      .of(request.id)
      .map(({ severity, ...finding }) => ({ ...finding, severity: severities[severity] })),
    ...(report.symbols === undefined
      ? {}
      : { symbols: { ...report.symbols, quality: presentQuality[report.symbols.quality] } }),
    ...(confined === undefined ? {} : { confinement: { ...confined, level: levels[confined.level] } }),
  };
}
