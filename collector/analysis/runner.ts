import { access, constants, mkdtemp, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { JobSymbols } from './analysis.ts';
import { type Child, startChild } from './child.ts';
import { runnerEnvironment } from './environment.ts';
import type { Surroundings } from './isolation.ts';
import type { AnalysisLimits } from './limits.ts';
import { PlainCopy } from './plain-copy.ts';
import type { RunnerPreparation } from './protocol.ts';

/** The program that analyses: `<python> <entry>`, both absolute paths. */
export interface RunnerProgram {
  readonly python: string;
  readonly entry: string;
}

/** Name of the directories that runs have for themselves. */
export const runDirPrefix = '.run-';

export interface RunnerSettings {
  readonly program: RunnerProgram;
  readonly surroundings: Surroundings;
  /** True: an image is read only by a runner that is confined in full. */
  readonly mustBeConfined: boolean;
  /** False: Volatility's own code paths alone. */
  readonly accelerated: boolean;
  readonly limits: AnalysisLimits;
  /** Of the disk that plain copies are on, what nobody is promised; all that is free without it. */
  readonly freeBytes?: (() => Promise<number>) | undefined;
  /** How many plugins run at the same time. */
  readonly workers: number;
}

/** What a runner is started for. */
export interface RunnerPurpose {
  readonly symbols: Pick<JobSymbols, 'isfPath' | 'isfSha256'>;
  /** Names of plugins that it may be told to run. */
  readonly plugins: readonly string[];
  /** The image, or the directory of all images. */
  readonly images: string;
  /** Where it has a directory for itself, until it is disposed of. */
  readonly dir: string;
  /** Where it has its plain copy: of a file system that has room for one. */
  readonly copyDir: string;
}

/** A process that loads the symbols of a kernel and waits for an image, once. Kill it, or let it end; then dispose of it. */
export interface Runner extends AsyncDisposable {
  readonly child: Child;
  readonly workers: number;
  readonly copy: PlainCopy;
  /** True once it has ended. */
  readonly gone: boolean;
}

/** Starts a runner. Throws the system's error when it cannot be started. */
export async function startRunner(settings: RunnerSettings, purpose: RunnerPurpose): Promise<Runner> {
  const { program, surroundings, workers } = settings;
  const privateDir = await mkdtemp(join(purpose.dir, runDirPrefix));
  const copy = await PlainCopy.create(join(purpose.copyDir, `${basename(privateDir)}.copy`));
  const removeAll = async () => {
    await copy[Symbol.asyncDispose]();
    await rm(privateDir, { recursive: true, force: true });
  };
  try {
    await access(program.python, constants.X_OK);
    await access(program.entry, constants.R_OK);
    const argv = [...surroundings.argv, program.python, program.entry, String(workers)];
    const env = runnerEnvironment(privateDir);
    const inherited = copy.reader?.fd;
    const child = await startChild(argv, { cwd: privateDir, env, sockets: 2 * workers, inherited });
    await copy.reader?.close();
    child.stdin.write(`${JSON.stringify(preparation(settings, purpose, privateDir))}\n`);
    let gone = false;
    void child.ended.then(() => {
      gone = true;
    });
    return {
      child,
      workers,
      copy,
      get gone() {
        return gone;
      },
      [Symbol.asyncDispose]: async () => {
        child.kill();
        for (const stream of [child.stdin, child.stdout, ...child.sockets]) stream.destroy();
        await child.ended;
        await removeAll();
      },
    };
  } catch (error) {
    await removeAll();
    throw error;
  }
}

function preparation(
  { limits, mustBeConfined, accelerated }: RunnerSettings,
  { symbols, plugins, images }: RunnerPurpose,
  cacheDir: string,
): RunnerPreparation {
  const { memoryBytes, fileBytes } = limits;
  const { isfPath, isfSha256 } = symbols;
  const bounds = { memoryBytes, fileBytes };
  return { isfPath, isfSha256, plugins, limits: bounds, cacheDir, images, mustBeConfined, accelerated };
}
