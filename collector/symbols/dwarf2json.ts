import { open } from 'node:fs/promises';
import { runChild } from './child.ts';
import { isfLimitBytes } from './isf-file.ts';
import type { SymbolBuilder } from './symbols.ts';

const blockBytes = 512;

/**
 * The builder that runs dwarf2json, found at `program` or on PATH. It needs about 4 GB of memory and half a minute for a kernel; it is killed
 * after `wallMs`, and its output may not pass the limit of an ISF.
 */
export function createDwarf2json(program = 'dwarf2json', wallMs = 600_000): SymbolBuilder {
  return {
    name: 'dwarf2json',
    async build(elfPath, outputPath, signal) {
      const output = await open(outputPath, 'wx', 0o600);
      try {
        // The shell only sets the limit on the size of files; the paths are arguments and never read as shell text.
        const limit = `ulimit -f ${isfLimitBytes / blockBytes} && exec "$@"`;
        const argv = ['sh', '-c', limit, 'sh', program, 'linux', '--elf', elfPath] as const;
        const end = await runChild({ argv: [...argv], output: output.fd, wallMs }, signal);
        switch (end.kind) {
          case 'exited':
            if (end.code === 0) {
              await output.sync();
              return { kind: 'built' };
            }
            if (end.code === 126 || end.code === 127) return { kind: 'unavailable', advice: adviceFor(program) };
            return { kind: 'failed', detail: `${program} ended with exit code ${end.code}: ${end.stderr.trim()}` };
          case 'killed':
            return {
              kind: 'failed',
              detail: `${program} was killed by ${end.by}; it needs up to 8 GB of memory: ${end.stderr.trim()}`,
            };
          case 'timeout':
            return { kind: 'failed', detail: `${program} did not end within ${wallMs / 1000} s` };
          case 'stopped':
          case 'not_found':
            return { kind: 'unavailable', advice: adviceFor(program) };
        }
      } finally {
        await output.close();
      }
    },
  };
}

function adviceFor(program: string): string {
  return `${program} cannot be run here: install it (go install github.com/volatilityfoundation/dwarf2json@master), or give an ISF instead of a vmlinux`;
}
