import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { runChild } from '../child.ts';
import type { Confine } from '../confine.ts';
import { isfLimitBytes } from '../isf-file.ts';
import { nothing, type SourceAnswer, type SymbolSource } from './source.ts';

const blockBytes = 512;
const defaultWallMs = 600_000;

/**
 * The last resort: dwarf2json, as a path or a name on PATH, run on a vmlinux that our own builder refused. It takes about 4 GB of memory and half a minute
 * for a kernel; it is confined, killed after `wallMs`, and its output may not pass the limit of an ISF.
 */
export function createDwarf2json(program: string, confine: Confine, wallMs = defaultWallMs): SymbolSource {
  return {
    async seek(_kernel, { refusedElfs, scratchPath, signal }): Promise<SourceAnswer> {
      const [elfPath] = refusedElfs;
      if (elfPath === undefined) {
        return nothing('not run: there is no vmlinux that the own builder refused');
      }
      const path = join(scratchPath, 'dwarf2json.json');
      const argv = confine({ read: [elfPath], write: [] }, [program, 'linux', '--elf', elfPath]);
      const problem = await run(program, argv, path, wallMs, signal);
      if (problem === undefined) return { kind: 'isf', path, from: `dwarf2json on ${elfPath}`, quality: 'dwarf' };
      return { ...nothing(problem), rejected: `no symbols could be built from ${elfPath}: ${problem}` };
    },
  };
}

async function run(
  program: string,
  argv: readonly string[],
  outputPath: string,
  wallMs: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  const output = await open(outputPath, 'wx', 0o600);
  try {
    // The shell only sets the limit on the size of files; the paths are arguments and never read as shell text.
    const limit = `ulimit -f ${isfLimitBytes / blockBytes} && exec "$@"`;
    const end = await runChild({ argv: ['sh', '-c', limit, 'sh', ...argv], output: output.fd, wallMs }, signal);
    switch (end.kind) {
      case 'exited':
        if (end.code === 0) return undefined;
        return `${program} ended with exit code ${end.code}: ${end.stderr.trim()}`;
      case 'killed':
        return `${program} was killed by ${end.by}; it needs up to 8 GB of memory: ${end.stderr.trim()}`;
      case 'timeout':
        return `${program} did not end within ${wallMs / 1000} s`;
      case 'stopped':
      case 'not_found':
        return `${program} cannot be run here: install it (go install github.com/volatilityfoundation/dwarf2json@master), or give an ISF instead of a vmlinux`;
    }
  } finally {
    await output.close();
  }
}
