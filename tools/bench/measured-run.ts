import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { usageOf } from './worker-process.ts';

/** What a program took from its start to its end. */
export interface MeasuredRun {
  readonly seconds: number;
  /** Highest resident memory that was seen, looked at every 5 ms. */
  readonly peakRssBytes: number;
}

/** Runs a program to its end, its output into a file. Throws when it ends with another exit code than 0. */
export async function measuredRun(argv: readonly string[], outputPath: string): Promise<MeasuredRun> {
  const [program = '', ...args] = argv;
  const begin = performance.now();
  const child = spawn(program, args, { stdio: ['ignore', openSync(outputPath, 'w', 0o600), 'inherit'], env: {} });
  const ended = once(child, 'exit');
  let running = true;
  let peakRssBytes = 0;
  const look = async (): Promise<void> => {
    while (running) {
      try {
        peakRssBytes = Math.max(peakRssBytes, usageOf(child.pid ?? -1).peakRssBytes);
      } catch {
        // It has just ended.
      }
      await sleep(5);
    }
  };
  const looking = look();
  const [code] = (await ended) as [number | null];
  const seconds = (performance.now() - begin) / 1000;
  running = false;
  await looking;
  if (code !== 0) throw new Error(`${program} ended with exit code ${code}`);
  return { seconds, peakRssBytes };
}
