import { statSync } from 'node:fs';

export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

export function formatBytes(bytes: number): string {
  return bytes < 1_000_000
    ? `${Math.ceil(bytes / 1000)} kB`
    : `${(bytes / 1_000_000).toFixed(bytes < 10_000_000 ? 1 : 0)} MB`;
}

/** Tells on stderr that a step begins and, when it is done, its size (of the file at `path`, if given) and seconds. */
export async function step<T>(what: string, run: () => Promise<T>, path?: (result: T) => string): Promise<T> {
  const startMs = performance.now();
  say(`- ${what} …`);
  const result = await run();
  const stats = path ? statSync(path(result), { throwIfNoEntry: false }) : undefined;
  const size = stats?.isFile() ? `${formatBytes(stats.size)}, ` : '';
  say(`  ${what}: ${size}${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  return result;
}
