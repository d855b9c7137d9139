import type { PluginInfo, PluginParameter } from '@kcorder/proto/gen/kcorder/v1/plugins_pb.ts';
import { kinds } from '@kcorder/proto/results/kinds.ts';
import { type Column, type Look, tableOf } from '../output/grid.ts';

const columns: readonly Column[] = [
  { title: 'PLUGIN' },
  { title: 'KIND' },
  { title: 'PROFILES' },
  { title: 'SENSITIVE' },
  { title: 'NEEDS' },
  { title: 'ARGUMENTS' },
];

/** Plugins, one a line: the kind that `get` lists them by, and what they take. */
export function pluginsTable(plugins: readonly PluginInfo[], look: Look): string {
  const rows = plugins.map(({ name, profiles, sensitive, needs, parameters }) => [
    name,
    kinds.find(({ plugin }) => plugin === name)?.name ?? '-',
    profiles.join(',') || '-',
    sensitive ? 'yes' : '-',
    needs.join(' or ') || '-',
    parameters.map(parameterText).join(' ') || '-',
  ]);
  return tableOf(columns, rows, look);
}

function parameterText({ name, kind, choices }: PluginParameter): string {
  return `${name}=${choices.length > 0 ? choices.join('|') : kind.toUpperCase()}`;
}
