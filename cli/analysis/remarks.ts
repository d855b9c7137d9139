import { ConfinementLevel, type PluginResult, PluginState } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import type { GetAnalysisResponse, PodReference } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { podName } from '../pods/resolve.ts';
import { podsWithoutTrace } from '../render/asked-pods.ts';
import { confinementText } from '../render/confinement.ts';
import type { Session } from '../session.ts';
import { withAdvice } from './advice.ts';
import { remarkOnFindings } from './findings.ts';

/** Says on stderr what is wrong with an analysis. False when one of the plugins that matter here gave no result. */
export function remarkOnPlugins(
  session: Session,
  analysis: GetAnalysisResponse,
  matter: 'all' | readonly string[],
): boolean {
  remarkOnFindings(session, analysis.findings);
  if (analysis.kernelMismatch && !analysis.findings.some(({ rule }) => rule === 'kernel_mismatch')) {
    session.warn(
      'kernel_mismatch: the kernel found in the image is not the one that the node told of. Do not trust what the node says about itself.',
    );
  }
  const { confinement } = analysis;
  if (confinement !== undefined && confinement.level !== ConfinementLevel.FULL)
    session.warn(
      `the analysis was confined ${confinementText(confinement)}: a hostile image could have reached more than itself. KCORDER_ANALYSIS_CONFINEMENT=required refuses that.`,
    );
  const known = analysis.plugins.map(({ name }) => name);
  const wanted = matter === 'all' ? [...new Set([...needed, ...known])] : matter;
  // What a plugin could not read matters to who looks at its rows; that a plugin failed matters to everybody.
  const shown = matter === 'all' ? needed : matter;
  const resultOf = (name: string) => analysis.plugins.find((result) => result.name === name);
  for (const name of shown) warnOfPlugin(session, resultOf(name), name);
  return wanted
    .map((name) => remarkOnFailure(session, resultOf(name), name) && remarkOnStale(session, resultOf(name)))
    .every((good) => good);
}

/** What the process table is made of. */
export const needed: readonly string[] = ['processes', 'sockets'];

/** Says on stderr what is wrong with one plugin. False when it gave no result. */
export function remarkOnPlugin(session: Session, plugin: PluginResult): boolean {
  warnOfPlugin(session, plugin, plugin.name);
  return remarkOnFailure(session, plugin, plugin.name);
}

/** Says on stderr which pods an image has no trace of. False if there is one. */
export function remarkOnPods(session: Session, analysis: GetAnalysisResponse, pods: readonly PodReference[]): boolean {
  const missing = podsWithoutTrace(analysis, pods);
  for (const pod of missing)
    session.warn(`no trace of pod ${podName(pod)} in the image: it ended before, or the node did not name it`);
  return missing.length === 0;
}

function warnOfPlugin(session: Session, plugin: PluginResult | undefined, name: string): void {
  for (const warning of plugin?.warnings ?? []) session.warn(`${name}: ${warning}`);
}

function remarkOnFailure(session: Session, plugin: PluginResult | undefined, name: string): boolean {
  // A table that this kernel cannot have is no failure, but for what every process table needs.
  if (plugin?.state === PluginState.UNSUPPORTED && !needed.includes(name)) {
    session.note(`unsupported: ${name}: ${plugin.reason}`);
    return true;
  }
  const why = failureText(plugin);
  if (why !== undefined) session.note(`FAILED: ${name}: ${withAdvice(why)}`);
  return why === undefined;
}

/** Says that a plugin failed when it ran last, so that its rows are those of a run before. False if so. */
function remarkOnStale(session: Session, plugin: PluginResult | undefined): boolean {
  const stale = plugin?.warnings.find((warning) => warning.startsWith('not_replaced: '));
  if (stale !== undefined) session.note(`FAILED: ${plugin?.name}: ${stale}`);
  return stale === undefined;
}

/** Why a plugin has no result; undefined when it has one, be it empty. */
function failureText(plugin: PluginResult | undefined): string | undefined {
  if (plugin === undefined) return 'it was not run';
  if (plugin.state === PluginState.ROWS || plugin.state === PluginState.EMPTY) return undefined;
  return plugin.reason || 'no reason given';
}

/** Whether the column of listeners may be believed. */
export function socketsKnown(analysis: GetAnalysisResponse): boolean {
  const sockets = analysis.plugins.find(({ name }) => name === 'sockets');
  return sockets?.state === PluginState.ROWS || sockets?.state === PluginState.EMPTY;
}
