import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { repoDir } from '../setup/cache.ts';

/** With a small young generation, which a fleet of thousands would otherwise let grow for nothing. The image and the chart start it alike. */
const collectorArguments: readonly string[] = ['--max-semi-space-size=4'];

/** How a collector is started. */
export interface CollectorOptions {
  readonly port: number;
  readonly metricsPort: number;
  readonly dataDir: string;
  /** With ca.crt, tls.crt and tls.key. */
  readonly tlsDir: string;
  readonly symbolDirs: readonly string[];
  readonly python: string;
  readonly logPath: string;
  /** Further settings of the collector. */
  readonly env?: Readonly<Record<string, string>>;
}

const readyLimitMs = 30_000;

/** A real collector in a process of its own. */
export class CollectorProcess {
  readonly options: CollectorOptions;
  #child: ChildProcess | undefined;

  constructor(options: CollectorOptions) {
    this.options = options;
  }

  get address(): string {
    return `127.0.0.1:${this.options.port}`;
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error('the collector does not run');
    return pid;
  }

  /** What it has logged over all its starts. */
  log(): string {
    return readFileSync(this.options.logPath, 'utf8');
  }

  /** Starts it and resolves when it listens. Throws with its log when it ends instead. */
  async start(): Promise<void> {
    const { port, metricsPort, dataDir, tlsDir, symbolDirs, python, logPath, env } = this.options;
    const log = openSync(logPath, 'a', 0o600);
    const before = this.log().length;
    const child = spawn(process.execPath, [...collectorArguments, join(repoDir, 'collector/main.ts')], {
      stdio: ['ignore', 'ignore', log],
      env: {
        PATH: process.env.PATH,
        KCORDER_LISTEN: `127.0.0.1:${port}`,
        KCORDER_METRICS_LISTEN: `127.0.0.1:${metricsPort}`,
        KCORDER_DATA_DIR: dataDir,
        KCORDER_TLS_DIR: tlsDir,
        KCORDER_SYMBOL_DIRS: symbolDirs.join(':'),
        KCORDER_PYTHON: python,
        ...env,
      },
    });
    closeSync(log);
    this.#child = child;
    const killWithUs = (): boolean => child.kill('SIGKILL');
    process.on('exit', killWithUs);
    child.once('exit', () => process.off('exit', killWithUs));
    const deadline = performance.now() + readyLimitMs;
    while (!this.log().slice(before).includes('collector is up')) {
      if (child.exitCode !== null || child.signalCode !== null || performance.now() > deadline) {
        throw new Error(`the collector did not come up:\n${this.log().slice(before)}`);
      }
      await sleep(20);
    }
  }

  /** Ends it and resolves with its exit code, or undefined when the signal ended it. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<number | undefined> {
    const child = this.#child;
    if (child === undefined) return undefined;
    this.#child = undefined;
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode ?? undefined;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
    return child.exitCode ?? undefined;
  }
}
