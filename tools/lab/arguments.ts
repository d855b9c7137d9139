import { parseArgs } from 'node:util';
import { quote } from './quote.ts';

export interface UpOptions {
  name: string;
  kernel: string;
  memoryMiB: number;
  la57: boolean;
}

export type LabCommand =
  | { kind: 'up'; options: UpOptions }
  | { kind: 'down'; name: string }
  | { kind: 'run'; name: string; command: string }
  | { kind: 'list' }
  | { kind: 'wrong'; message: string };

const defaultName = 'lab-1';

/** What the words after `./dev lab` ask for. */
export function parseLabArguments(args: string[]): LabCommand {
  const [verb, ...rest] = args;
  switch (verb) {
    case 'up':
      return parseUp(rest);
    case 'down': {
      const parsed = parse(rest, { name: { type: 'string' } });
      if ('message' in parsed) return parsed;
      return { kind: 'down', name: String(parsed.values.name ?? defaultName) };
    }
    case 'run':
      return parseRun(rest);
    case 'list':
      return rest.length === 0 ? { kind: 'list' } : wrong(`list takes no arguments: ${rest.join(' ')}`);
    default:
      return wrong(
        verb === undefined ? 'say what to do: up, down, run or list' : `there is no "${verb}": up, down, run or list`,
      );
  }
}

function parseUp(args: string[]): LabCommand {
  const parsed = parse(args, {
    name: { type: 'string' },
    kernel: { type: 'string' },
    memory: { type: 'string' },
    la57: { type: 'boolean' },
  });
  if ('message' in parsed) return parsed;
  const { name, kernel, memory, la57 } = parsed.values;
  const memoryMiB = Number(memory ?? 1024);
  if (!Number.isInteger(memoryMiB) || memoryMiB < 256)
    return wrong(`--memory is a number of MiB of at least 256, not "${memory}"`);
  return {
    kind: 'up',
    options: { name: String(name ?? defaultName), kernel: String(kernel ?? '6.1'), memoryMiB, la57: la57 === true },
  };
}

/** `--name` comes before the command; everything after it is the command's own. */
function parseRun(args: string[]): LabCommand {
  let name = defaultName;
  let rest = args;
  if (rest[0] === '--name') {
    name = rest[1] ?? '';
    rest = rest.slice(2);
  } else if (rest[0]?.startsWith('--name=')) {
    name = rest[0].slice('--name='.length);
    rest = rest.slice(1);
  }
  if (rest[0] === '--') rest = rest.slice(1);
  // `run CMD… --name N` as in the other commands: the last two words, where they can mean nothing else
  if (rest.length > 2 && rest.at(-2) === '--name') {
    name = rest.at(-1) ?? '';
    rest = rest.slice(0, -2);
  }
  if (rest.length === 0) return wrong('run needs a command: ./dev lab run ps');
  // one word is a line for the shell, several are words that it must not split again
  const command = rest.length === 1 ? (rest[0] ?? '') : rest.map(quoteIfNeeded).join(' ');
  return { kind: 'run', name, command };
}

function quoteIfNeeded(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : quote(word);
}

function parse(args: string[], options: Record<string, { type: 'string' | 'boolean' }>) {
  try {
    return parseArgs({ args, options, strict: true });
  } catch (error) {
    return wrong(error instanceof Error ? error.message : String(error));
  }
}

function wrong(message: string): { kind: 'wrong'; message: string } {
  return { kind: 'wrong', message };
}
