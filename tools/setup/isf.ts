import { statSync } from 'node:fs';
import { buildOnce } from './build-once.ts';
import { cachePath } from './cache.ts';
import { command } from './command.ts';
import { ensureDwarf2json } from './dwarf2json.ts';
import { SetupFailure } from './failure.ts';
import type { Kernel } from './kernel.ts';
import { ensureVmlinux } from './vmlinux.ts';

/** The path of the kernel's ISF, made by dwarf2json from its vmlinux (about half a minute and 4 GB of memory). */
export async function ensureIsf(kernel: Kernel): Promise<string> {
  return await buildOnce(
    cachePath('isf', `${kernel.release}.json`),
    `ISF of ${kernel.release} (dwarf2json)`,
    async (temporaryPath) => {
      const dwarf2json = await ensureDwarf2json();
      const vmlinux = await ensureVmlinux(kernel);
      try {
        await command(dwarf2json, ['linux', '--elf', vmlinux], { stdoutPath: temporaryPath });
        // a dwarf2json that ran out of memory can leave nothing behind
        if (statSync(temporaryPath).size < 1_000_000) throw new Error('dwarf2json wrote (nearly) nothing');
      } catch (cause) {
        throw new SetupFailure(
          `cannot make the ISF of ${kernel.release}`,
          'this machine',
          'dwarf2json needs about 4 GB of free memory: free some, then try again.',
          cause,
        );
      }
    },
  );
}
