import type { MessageInitShape } from '@bufbuild/protobuf';
import { Fault } from '@kcorder/proto/fault.ts';
import type {
  AnalysisSpecSchema,
  ListPluginsResponseSchema,
  PluginInfoSchema,
  PluginParameterSchema,
  AnalysisSpec as SpecMessage,
} from '@kcorder/proto/gen/kcorder/v1/plugins_pb.ts';
import { type Arguments, type PluginRow, pluginTable } from '../analysis/plugins.ts';
import { profiles } from '../analysis/profiles.ts';
import { searchesMemory, specProblem } from '../analysis/spec.ts';
import type { AnalysisSpec, PluginSpec } from '../capture/capture.ts';

/**
 * What somebody wants to be run; undefined for the default profile. `admitToUnmask` is asked about what looks for a text in memory, since its rows
 * answer without showing any value. Throws Fault invalid_argument for what cannot be run, and as it does.
 */
export async function readSpec(
  message: SpecMessage | undefined,
  admitToUnmask: () => Promise<void>,
): Promise<AnalysisSpec | undefined> {
  const spec = toSpec(message);
  if (spec === undefined) return undefined;
  const problem = specProblem(spec);
  if (problem !== undefined) throw new Fault('invalid_argument', problem);
  if (searchesMemory(spec)) await admitToUnmask();
  return spec;
}

function toSpec(message: SpecMessage | undefined): AnalysisSpec | undefined {
  const { profile = '', plugins = [] } = message ?? {};
  if (profile !== '' && plugins.length > 0)
    throw new Fault('invalid_argument', 'an analysis has either a profile or plugins: name one of the two');
  if (plugins.length > 0) return { plugins: plugins.map(toPlugin) };
  return profile === '' ? undefined : { profile };
}

function toPlugin({ name, arguments: given }: SpecMessage['plugins'][number]): PluginSpec {
  const twin = given.find((one, index) => given.findIndex((other) => other.name === one.name) !== index);
  if (twin !== undefined)
    throw new Fault('invalid_argument', `the argument ${twin.name} of ${name} is given twice: give it once`);
  if (given.length === 0) return { name };
  return { name, arguments: Object.fromEntries(given.map((each) => [each.name, each.value])) };
}

/** A spec as operators see it. */
export function presentSpec(spec: AnalysisSpec): MessageInitShape<typeof AnalysisSpecSchema> {
  if ('profile' in spec) return { profile: spec.profile };
  return { plugins: spec.plugins.map(({ name, arguments: given }) => ({ name, arguments: presentArguments(given) })) };
}

export function presentArguments(given: PluginSpec['arguments'] = {}): { name: string; value: string }[] {
  return Object.entries(given).map(([name, value]) => ({ name, value }));
}

/** Every plugin that can be named, in the order of names. */
export function presentPlugins(defaultProfile: string): MessageInitShape<typeof ListPluginsResponseSchema> {
  const plugins = pluginTable.map(presentPlugin).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return { plugins, defaultProfile };
}

function presentPlugin(row: PluginRow) {
  const { name, takes = {}, needs = [], sensitive = false } = row;
  const within = Object.entries(profiles).filter(([, plugins]) => plugins.some((plugin) => plugin === name));
  return {
    ...{ name, sensitive, needs: [...needs], parameters: presentParameters(takes) },
    profiles: within.map(([profile]) => profile),
  } satisfies MessageInitShape<typeof PluginInfoSchema>;
}

function presentParameters(takes: Arguments): MessageInitShape<typeof PluginParameterSchema>[] {
  return Object.entries(takes).map(([name, kind]) =>
    typeof kind === 'string' ? { name, kind } : { name, kind: 'choice', choices: [...kind] },
  );
}
