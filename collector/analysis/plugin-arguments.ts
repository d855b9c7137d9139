import { Fault } from '@kcorder/proto/fault.ts';
import type { PluginSpec } from '../capture/capture.ts';
import { type ArgumentKind, type ArgumentValue, type PluginRow, pluginRow, type RunnerPlugin } from './plugins.ts';

/** As job.py has them. */
const bounds = { textLength: 4096, items: 256, number: 2 ** 32 - 1 } as const;
const namePattern = /^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*$/;

/** The name of a plugin that was asked for, with or without arguments. */
function requestedName(request: string | PluginSpec): string {
  return typeof request === 'string' ? request : request.name;
}

/**
 * Returns what the runner is told of each plugin; of one that is not in the table that is the name alone. Throws Fault invalid_argument for none,
 * for one that is asked for twice, and for an argument that the plugin does not take or that is not of its kind.
 */
export function runnerPlugins(requests: readonly (string | PluginSpec)[]): RunnerPlugin[] {
  const names = requests.map(requestedName);
  if (names.length === 0 || new Set(names).size !== names.length)
    throw invalid('an analysis needs at least one plugin, and each only once');
  return requests.map(runnerPlugin);
}

function runnerPlugin(request: string | PluginSpec): RunnerPlugin {
  const name = requestedName(request);
  if (!namePattern.test(name))
    throw invalid(`"${name.slice(0, 80)}" is no name of a plugin; give names such as linux.pslist.PsList`);
  const row: PluginRow = pluginRow(name) ?? { name };
  const { neverEmpty = false, processes, tree = false, needs } = row;
  const texts = Object.entries((typeof request === 'string' ? undefined : request.arguments) ?? {});
  const values = texts.map(([argument, text]) => [argument, readArgument(row, argument, text)] as const);
  // Fewer processes are asked for, so that none of the others is missing.
  const some = processes !== undefined && values.length > 0 ? 'some' : processes;
  return {
    ...{ name, neverEmpty: neverEmpty && values.length === 0, tree },
    ...(some && { processes: some }),
    ...(needs && { needs }),
    ...(values.length > 0 && { arguments: Object.fromEntries(values) }),
  };
}

function readArgument({ name, takes = {} }: PluginRow, argument: string, text: string): ArgumentValue {
  const kind = Object.hasOwn(takes, argument) ? takes[argument] : undefined;
  if (kind === undefined) {
    const known = Object.keys(takes).join(', ') || 'none';
    throw invalid(`${name} takes no argument "${argument.slice(0, 80)}" here; it takes: ${known}`);
  }
  const value = text.length <= bounds.textLength && !text.includes('\0') ? readValue(kind, text) : undefined;
  if (value === undefined) throw invalid(`argument ${argument} of ${name} must be ${describe(kind)}`);
  return value;
}

function readValue(kind: ArgumentKind | readonly string[], text: string): ArgumentValue | undefined {
  switch (kind) {
    case 'flag':
      return text === 'true' ? true : text === 'false' ? false : undefined;
    case 'number':
      return readNumber(text);
    case 'address':
      return readAddress(text);
    case 'text':
      return text === '' ? undefined : text;
    case 'numbers':
      return readList(text, readNumber);
    case 'addresses':
      return readList(text, readAddress);
    case 'texts':
      return readList(text, (item) => (item === '' ? undefined : item));
    default:
      return kind.includes(text) ? text : undefined;
  }
}

function readNumber(text: string): number | undefined {
  return /^\d{1,10}$/.test(text) && Number(text) <= bounds.number ? Number(text) : undefined;
}

function readAddress(text: string): string | undefined {
  return /^0x[0-9a-f]{1,16}$/i.test(text) ? text.toLowerCase() : undefined;
}

function readList<Item>(text: string, read: (item: string) => Item | undefined): Item[] | undefined {
  const items = text.split(',').map(read);
  const known = items.filter((item) => item !== undefined);
  return known.length === items.length && items.length <= bounds.items ? known : undefined;
}

function describe(kind: ArgumentKind | readonly string[]): string {
  switch (kind) {
    case 'flag':
      return 'true or false';
    case 'number':
      return `a number from 0 to ${bounds.number}`;
    case 'address':
      return 'a hexadecimal address such as 0xffffffffc0a01000';
    case 'text':
      return `a text of 1 to ${bounds.textLength} characters`;
    case 'numbers':
      return `at most ${bounds.items} numbers from 0 to ${bounds.number} with commas between them`;
    case 'addresses':
      return `at most ${bounds.items} hexadecimal addresses with commas between them`;
    case 'texts':
      return `at most ${bounds.items} words with commas between them, ${bounds.textLength} characters in all`;
    default:
      return `one of ${kind.join(', ')}`;
  }
}

function invalid(message: string): Fault {
  return new Fault('invalid_argument', message);
}
