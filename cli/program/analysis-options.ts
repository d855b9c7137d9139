import { pluginOf } from '@kcorder/proto/results/kinds.ts';
import { type Command, InvalidArgumentError } from 'commander';
import type { AnalysisChoice } from '../calls/analysis-choice.ts';

/** Options of commands that have images analyzed. */
export interface AnalysisOptions {
  readonly profile?: string;
  readonly plugin?: readonly string[];
  readonly arg?: readonly ArgumentWord[];
}

interface ArgumentWord {
  /** Undefined: of the one plugin. */
  readonly plugin: string | undefined;
  readonly name: string;
  readonly value: string;
}

/** Adds --profile, --plugin and --arg. */
export function addAnalysisOptions(command: Command): Command {
  return command
    .option('--profile <name>', 'analyze with this profile: quick, standard or deep (default: as the collector is set)')
    .option(
      '--plugin <names>',
      'run these plugins or kinds of rows only, with commas between them (repeatable); see get plugins',
      plugins,
    )
    .option('--arg <argument>', 'NAME=VALUE for the plugin, or PLUGIN:NAME=VALUE (repeatable)', argument);
}

/** What to run; undefined to leave it to the collector. */
export function choiceOf({ profile, plugin, arg = [] }: AnalysisOptions, command: Command): AnalysisChoice | undefined {
  if (profile !== undefined && plugin !== undefined)
    return command.error('error: --profile and --plugin do not go together: give one of them.');
  if (plugin === undefined && arg.length > 0) return command.error('error: --arg is for a plugin: give --plugin too.');
  if (plugin === undefined) return profile === undefined ? undefined : { profile };
  for (const { plugin: named, name } of arg) {
    if (named === undefined && plugin.length > 1)
      return command.error(`error: --arg ${name} could be for any of the plugins: give PLUGIN:${name}=VALUE.`);
    if (named !== undefined && !plugin.includes(named))
      return command.error(`error: --arg ${name} is for ${named}, which --plugin does not name.`);
  }
  return {
    plugins: plugin.map((name) => ({
      name,
      arguments: arg.flatMap(({ plugin: named = name, ...given }) => (named === name ? [given] : [])),
    })),
  };
}

function plugins(text: string, before: readonly string[] = []): string[] {
  const named = text.split(',').map((name) => name.trim());
  if (named.includes('')) throw new InvalidArgumentError('Give names such as linux.lsof.Lsof,linux.bash.Bash.');
  return [...before, ...named.map(pluginOf)];
}

function argument(text: string, before: readonly ArgumentWord[] = []): ArgumentWord[] {
  const [, plugin, name, value] = /^(?:([A-Za-z][\w.-]*):)?([A-Za-z][\w-]*)=(.*)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined)
    throw new InvalidArgumentError('Give NAME=VALUE, such as pid=4711, or PLUGIN:NAME=VALUE.');
  return [...before, { plugin: plugin && pluginOf(plugin), name, value }];
}
