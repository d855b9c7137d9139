import { setImmediate } from 'node:timers/promises';
import { create, fromJson, type MessageInitShape, toBinary, type UnknownField } from '@bufbuild/protobuf';
import { WireType } from '@bufbuild/protobuf/wire';
import { type ListValue, ListValueSchema } from '@bufbuild/protobuf/wkt';
import { Fault } from '@kcorder/proto/fault.ts';
import {
  ConfinementLevel,
  PluginResultSchema,
  PluginState,
  type Process,
} from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import { type GetAnalysisResponseSchema, Severity } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import type { AnalysisReport, PluginReport } from '../analysis/analysis.ts';
import { maskOf, maskSecrets } from '../analysis/masking.ts';
import { checkAnswer, readProcesses, readReport, streamRows } from '../analysis/results.ts';
import type { EvidenceDirectory } from '../evidence/evidence-directory.ts';
import type { JournaledCapture } from '../journal/capture-journal.ts';
import type { FindingJournal } from '../journal/finding-journal.ts';
import { presentArguments } from './analysis-spec.ts';
import { presentQuality } from './present-symbols.ts';

type Response = Extract<MessageInitShape<typeof GetAnalysisResponseSchema>, { $typeName?: never }>;

const severities = { info: Severity.INFO, warning: Severity.WARNING, critical: Severity.CRITICAL } as const;
const levels = {
  none: ConfinementLevel.NONE,
  partial: ConfinementLevel.PARTIAL,
  full: ConfinementLevel.FULL,
} as const;
const states = {
  rows: PluginState.ROWS,
  empty: PluginState.EMPTY,
  failed: PluginState.FAILED,
  unsupported: PluginState.UNSUPPORTED,
  waiting: PluginState.WAITING,
  running: PluginState.RUNNING,
} as const;

/** How a plugin ended, by the word in its report, or how far it is. */
export function presentState(state: string): PluginState {
  return Object.hasOwn(states, state) ? states[state as keyof typeof states] : PluginState.UNSPECIFIED;
}

/** What of the results is wanted. */
interface Wanted {
  readonly rowPlugins: readonly string[];
  /** True: with what masking.ts masks otherwise. */
  readonly unmask: boolean;
}

/** The results of a capture's analysis; no plugins at all before it has ended or when it never ran. Throws invalid_argument. */
export async function presentAnalysis(
  capture: JournaledCapture,
  evidence: Pick<EvidenceDirectory, 'pathOf'>,
  { rowPlugins, unmask }: Wanted,
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
  await checkAnswer(outputDir, report, rowPlugins);
  const plugins = [];
  for (const plugin of report.plugins) {
    const { name, reason, seconds } = plugin;
    const result = create(PluginResultSchema, {
      ...{ name, reason, seconds, state: states[plugin.state], rowCount: BigInt(plugin.rowCount) },
      ...{
        warnings: [...plugin.warnings],
        columns: [...plugin.columns],
        arguments: presentArguments(plugin.arguments),
      },
    });
    if (rowPlugins.includes(name)) result.$unknown = await encodeRows(outputDir, report, plugin, unmask);
    plugins.push(result);
  }
  const { confined } = report.isolation;
  const processes = await readProcesses(outputDir, report);
  if (!unmask) await maskProcesses(processes);
  return {
    plugins,
    processes,
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

const charactersAtOnce = 64 << 10;

/** In pieces, between which other calls have their turn: there may be 16 MiB of command lines. */
async function maskProcesses(processes: readonly Process[]): Promise<void> {
  let characters = 0;
  for (const process of processes) {
    const { commandLine } = process;
    if (commandLine === undefined) continue;
    process.commandLine = maskSecrets(commandLine);
    characters += commandLine.length;
    if (characters < charactersAtOnce) continue;
    characters = 0;
    await setImmediate();
  }
}

const rowsAtOnce = 500;

/**
 * The rows of a plugin as they go onto the wire: a cell takes some ten bytes of it, and two hundred as a message. Encoded in pieces, between which
 * other calls have their turn.
 */
async function encodeRows(
  outputDir: string,
  report: AnalysisReport,
  { name, columns }: PluginReport,
  unmask: boolean,
): Promise<UnknownField[]> {
  const mask = unmask ? undefined : maskOf(name, columns);
  const encoded: UnknownField[] = [];
  let rows: ListValue[] = [];
  const flush = () => {
    const bytes = toBinary(PluginResultSchema, create(PluginResultSchema, { rows }));
    // A field that the writer takes as it is, but for its tag of one byte; the tags of the others are within.
    encoded.push({
      no: PluginResultSchema.field.rows.number,
      wireType: WireType.LengthDelimited,
      data: bytes.subarray(1),
    });
    rows = [];
  };
  for await (const row of streamRows(outputDir, report, name)) {
    rows.push(fromJson(ListValueSchema, mask?.row(row) ?? row));
    if (rows.length === rowsAtOnce) flush();
  }
  if (rows.length > 0) flush();
  return encoded;
}
