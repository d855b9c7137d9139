import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Fault } from '@kcorder/proto/fault.ts';
import type { AnswerCell, Asked, Remarks } from './ask.ts';

const here = import.meta.dirname;
/** Memory of JavaScript alone, in MiB. */
const mostHeapMib = 512;

/** An answer: the names of its columns, then its rows as they come. */
export interface Answer {
  readonly columns: readonly string[];
  readonly rows: AsyncIterable<readonly AnswerCell[]>;
  /** Of the plugins whose tables were read, there once all rows are; in the words of the file. */
  readonly warnings: readonly string[];
}

/**
 * Asks a file one SELECT, in a process of its own that may read this file and its program, and nothing else: the file is of another machine, and an
 * answer may take for ever. The process has ended when `use` has. Throws invalid_argument with what SQLite says, and the signal's reason.
 */
export async function askFile<T>(asked: Asked, signal: AbortSignal, use: (answer: Answer) => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  const readable = [asked.path, here, join(here, '../package.json')].map((path) => `--allow-fs-read=${path}`);
  const limits = ['--permission', ...readable, `--max-old-space-size=${mostHeapMib}`, '--no-warnings'];
  const child = spawn(process.execPath, [...limits, join(here, 'ask-main.ts')], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {},
  });
  const kill = (): void => void child.kill('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  let lastWords = '';
  child.stderr.on('data', (data: Buffer) => {
    lastWords = `${lastWords}${data.toString('utf8')}`.slice(-1_000);
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => resolve());
  });
  ended.catch(() => undefined);
  // Whoever does not read its question has ended already, and why is told below.
  child.stdin.on('error', () => undefined);
  child.stdin.end(JSON.stringify(asked));
  try {
    const warnings: string[] = [];
    const lines = linesOf(child.stdout, warnings);
    const columns = (await lines.next()).value;
    if (columns === undefined) {
      await ended;
      signal.throwIfAborted();
      throw new Fault('internal', `the query ended without an answer: ${lastWords.trim() || 'no reason given'}`);
    }
    const answer = await use({ columns: columns.map(String), rows: lines, warnings });
    signal.throwIfAborted();
    return answer;
  } finally {
    signal.removeEventListener('abort', kill);
    kill();
    await ended.catch(() => undefined);
  }
}

async function* linesOf(
  output: NodeJS.ReadableStream,
  warnings: string[],
): AsyncGenerator<readonly AnswerCell[], undefined, undefined> {
  for await (const text of createInterface({ input: output, crlfDelay: Number.POSITIVE_INFINITY })) {
    const line = JSON.parse(text) as readonly AnswerCell[] | Remarks | { readonly error: string };
    if ('error' in line) throw new Fault('invalid_argument', `the query cannot be answered: ${line.error}`);
    if ('warnings' in line) warnings.push(...line.warnings);
    else yield line;
  }
  return undefined;
}
