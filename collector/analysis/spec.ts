import { Fault } from '@kcorder/proto/fault.ts';
import { pluginOf } from '@kcorder/proto/results/kinds.ts';
import type { AnalysisSpec, PluginSpec } from '../capture/capture.ts';
import { nearNames } from './near-names.ts';
import { runnerPlugins } from './plugin-arguments.ts';
import { pluginRow, pluginTable } from './plugins.ts';
import { profiles } from './profiles.ts';

/** Of the whole spec as JSON: it becomes part of requests, schedules and audit records. */
const mostBytes = 32 << 10;

export type ProfileName = keyof typeof profiles;

/** Places rows in pods, so that it runs with every plugin. */
export const placingPlugin = 'processes';

/** Returns what is wrong with a spec as a sentence, with what to do; undefined when it can be run. */
export function specProblem(spec: AnalysisSpec): string | undefined {
  if (Buffer.byteLength(JSON.stringify(spec)) > mostBytes)
    return `the plugins and their arguments take more than ${mostBytes} bytes: name fewer, or shorten the arguments`;
  try {
    if ('profile' in spec) profileOf(spec.profile);
    else checkPlugins(spec.plugins);
    return undefined;
  } catch (error) {
    if (error instanceof Fault) return error.message;
    throw error;
  }
}

/** Returns the plugins of a spec. Throws Fault invalid_argument for a profile that this collector does not know. */
export function pluginsOf(spec: AnalysisSpec): readonly (string | PluginSpec)[] {
  if ('profile' in spec) return profileOf(spec.profile);
  const placed = spec.plugins.some(({ name }) => name === placingPlugin);
  return placed ? spec.plugins : [placingPlugin, ...spec.plugins];
}

/** Returns true if it looks for a text in memory: whether that is found tells what is masked. */
export function searchesMemory(spec: AnalysisSpec): boolean {
  const plugins = 'plugins' in spec ? spec.plugins : [];
  return plugins.some(({ name, arguments: given = {} }) => {
    const { sensitive = false, takes = {} } = pluginRow(name) ?? {};
    return (
      sensitive && Object.keys(given).some((argument) => takes[argument] === 'text' || takes[argument] === 'texts')
    );
  });
}

function profileOf(name: string): readonly string[] {
  if (Object.hasOwn(profiles, name)) return profiles[name as ProfileName];
  throw invalid(`there is no profile "${name.slice(0, 80)}"; there are ${Object.keys(profiles).join(', ')}`);
}

/** Throws Fault invalid_argument for a name that is no plugin's. */
export function checkPlugin(name: string): void {
  if (pluginRow(name) === undefined) throw unknownPlugin(name);
}

function checkPlugins(plugins: readonly PluginSpec[]): void {
  for (const { name } of plugins) checkPlugin(name);
  const twin = plugins.find(({ name }, index) => plugins.findIndex((other) => other.name === name) !== index);
  if (twin !== undefined) throw invalid(`the plugin ${twin.name} is named twice: name each plugin once`);
  for (const { name, needs } of runnerPlugins(plugins)) {
    const given = plugins.find((plugin) => plugin.name === name)?.arguments ?? {};
    if (needs !== undefined && !needs.some((argument) => Object.hasOwn(given, argument)))
      throw invalid(`${name} needs the argument ${needs.join(' or ')}`);
  }
}

function unknownPlugin(name: string): Fault {
  const known = pluginTable.map((row) => row.name);
  const kind = pluginOf(name);
  const near = kind === name ? nearNames(name, known) : [kind];
  const advice = near.length === 0 ? "'kcorder get plugins' lists them" : `did you mean ${near.join(', ')}?`;
  const profile = Object.hasOwn(profiles, name) ? `; ${name} is a profile` : '';
  return invalid(`there is no plugin "${name.slice(0, 80)}"${profile}: ${advice}`);
}

const invalid = (message: string): Fault => new Fault('invalid_argument', message);
