import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** CPU and memory that a process has used. */
export interface Usage {
  readonly cpuSeconds: number;
  readonly rssBytes: number;
  /** Highest since its start. */
  readonly peakRssBytes: number;
}

/** A line that a worker printed. */
export type Line = Readonly<Record<string, unknown>>;

const ticksPerSecond = 100;
const lineLimitMs = 15 * 60_000;

/** What the process has used so far. */
export function usageOf(pid: number): Usage {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The command name in parentheses may hold anything, so fields count from its end: utime and stime are 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kibibytes = (key: string): number => Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0);
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / ticksPerSecond,
    rssBytes: kibibytes('VmRSS') * 1024,
    peakRssBytes: kibibytes('VmHWM') * 1024,
  };
}

/** A Node script of this folder in a process of its own; both sides speak in lines of JSON. It ends with this process at the latest. */
export class WorkerProcess {
  readonly #child: ChildProcess;
  readonly #lines: Line[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #name: string;

  /** `script` is a path below tools/bench; `options` reaches it as its one argument. */
  constructor(script: string, options: object, nodeArguments: readonly string[] = []) {
    const path = join(import.meta.dirname, script);
    const child = spawn(process.execPath, ['--no-deprecation', ...nodeArguments, path, JSON.stringify(options)], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: {},
    });
    this.#child = child;
    this.#name = script;
    const killWithUs = (): boolean => child.kill('SIGKILL');
    process.on('exit', killWithUs);
    child.once('exit', () => {
      process.off('exit', killWithUs);
      this.#wake();
    });
    child.stdin?.on('error', () => undefined);
    createInterface({ input: child.stdout ?? process.stdin }).on('line', (line) => {
      this.#lines.push(JSON.parse(line) as Line);
      this.#wake();
    });
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  get usage(): Usage {
    return usageOf(this.pid);
  }

  tell(message: object): void {
    this.#child.stdin?.write(`${JSON.stringify(message)}\n`);
  }

  /** The next line for which `wanted` holds; lines before it are dropped. Throws when the process ends first. */
  async line(wanted: (line: Line) => boolean): Promise<Line> {
    const deadline = AbortSignal.timeout(lineLimitMs);
    while (true) {
      for (let line = this.#lines.shift(); line !== undefined; line = this.#lines.shift()) {
        if (wanted(line)) return line;
      }
      if (this.#child.exitCode !== null || this.#child.signalCode !== null || deadline.aborted) {
        throw new Error(`${this.#name} (process ${this.pid}) ended before it said what was waited for`);
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.add(resolve);
      deadline.addEventListener('abort', () => resolve(), { once: true });
      await promise;
    }
  }

  async stop(signal: 'SIGTERM' | 'SIGINT' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill(signal);
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 10_000);
    await ended;
    clearTimeout(timer);
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}
