import { Fault } from '@kcorder/proto/fault.ts';
import { type PluginResult, PluginResultSchema, PluginState } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import { type GetAnalysisResponse, GetAnalysisResponseSchema } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { fetchAnalysis } from '../analysis/fetch.ts';
import { needed, remarkOnPlugins, socketsKnown } from '../analysis/remarks.ts';
import { endOf, resolveAnalysed } from '../analysis/target.ts';
import { exitCode } from '../exit-code.ts';
import { documentOf } from '../output/document.ts';
import { pluginTable } from '../render/plugin-rows.ts';
import { processesText } from '../render/processes.ts';
import type { Session } from '../session.ts';

/** The options of `kcorder ps`. */
export interface PsOptions {
  readonly plugin?: string;
  readonly all: boolean;
  /** Secrets in command lines, and the values of sensitive plugins, as they are. */
  readonly unmask: boolean;
}

/** `kcorder ps CAPTURE_ID|NODE`: the processes of a capture by pod, or the rows of one plugin. */
export async function ps(session: Session, target: string, options: PsOptions): Promise<number> {
  const capture = await resolveAnalysed(session, target);
  const analysis = await fetchAnalysis(session, capture.id, {
    ...(options.plugin !== undefined && { rowPlugins: [options.plugin] }),
    unmask: options.unmask,
  });
  analysis.capture ??= capture;
  const good =
    options.plugin === undefined
      ? printProcesses(session, analysis, options.all)
      : printPlugin(session, analysis, options.plugin);
  const end = endOf(session, capture);
  return good ? end : exitCode.failure;
}

function printProcesses(session: Session, analysis: GetAnalysisResponse, kernelThreads: boolean): boolean {
  const { processes } = analysis;
  session.print({
    document: () => documentOf(GetAnalysisResponseSchema, analysis),
    table: (look) =>
      processes.length === 0
        ? ''
        : processesText(analysis, { kernelThreads, socketsKnown: socketsKnown(analysis) }, look),
  });
  const good = remarkOnPlugins(session, analysis, needed);
  if (good && processes.length === 0) session.note(`No processes in capture ${analysis.capture?.id ?? ''}.`);
  return good;
}

function printPlugin(session: Session, analysis: GetAnalysisResponse, name: string): boolean {
  const plugin = analysis.plugins.find((result) => result.name === name);
  const id = analysis.capture?.id ?? '';
  if (plugin === undefined) {
    const known = analysis.plugins.map((result) => result.name).join(', ') || 'none';
    throw new Fault('invalid_argument', `plugin "${name}" was not run on capture ${id}. The ones that were: ${known}.`);
  }
  session.print({
    document: () => documentOf(PluginResultSchema, plugin),
    table: (look) => (plugin.rows.length === 0 ? '' : pluginTable(plugin, look)),
  });
  if (plugin.state === PluginState.EMPTY) session.note(`Plugin ${name} found nothing in capture ${id}.`);
  return remarkOnPlugins(session, analysis, [name]) && rowsArrived(session, plugin);
}

function rowsArrived(session: Session, plugin: PluginResult): boolean {
  if (BigInt(plugin.rows.length) === plugin.rowCount) return true;
  session.warn(`the collector counted ${plugin.rowCount} rows of ${plugin.name} and sent ${plugin.rows.length}`);
  return false;
}
