import type { AnalysisSpec, PluginArgument } from '@kcorder/proto/gen/kcorder/v1/plugins_pb.ts';

/** What an analysis is to run. */
export type AnalysisChoice =
  | { readonly profile: string }
  | { readonly plugins: { readonly name: string; readonly arguments: Given[] }[] };

type Given = Pick<PluginArgument, 'name' | 'value'>;

/** The same in words: `profile deep`, `linux.bash.Bash, linux.lsof.Lsof (pid=7)`; empty for the default profile. */
export function specText(spec: Pick<AnalysisSpec, 'profile' | 'plugins'> | undefined): string {
  const { profile = '', plugins = [] } = spec ?? {};
  if (profile !== '') return `profile ${profile}`;
  return plugins.map(({ name, arguments: given }) => [name, argumentsText(given)].filter(Boolean).join(' ')).join(', ');
}

function argumentsText(given: readonly Given[]): string {
  return given.length === 0 ? '' : `(${given.map(({ name, value }) => `${name}=${value}`).join(', ')})`;
}
