import { cpSync, existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { buildOnce } from './build-once.ts';
import { cachePath, repoDir } from './cache.ts';
import { command } from './command.ts';
import { findProgram } from './environment.ts';
import { SetupFailure } from './failure.ts';
import { installPackages } from './host-packages.ts';

const checkout = resolve(repoDir, '../shared/third_party/dwarf2json');

/** The path of dwarf2json: the one on PATH, else built by Go from a checkout beside ours, else from its public repository. */
export async function ensureDwarf2json(): Promise<string> {
  const onPath = findProgram('dwarf2json');
  if (onPath) return onPath;
  return await buildOnce(cachePath('dwarf2json', 'dwarf2json'), 'dwarf2json (go)', async (temporaryPath) => {
    if (!findProgram('go')) await installPackages(['golang-go']);
    const go = findProgram('go') ?? 'go';
    const env = { GOBIN: cachePath('dwarf2json', 'bin', '.'), GOFLAGS: '-mod=mod' };
    try {
      if (existsSync(checkout)) {
        const source = cachePath('dwarf2json', 'source');
        cpSync(checkout, source, { recursive: true });
        // the checkout may be read-only, and so are the copies: Go wants to write its go.sum
        await command('chmod', ['-R', 'u+w', source]);
        await command(go, ['build', '-o', temporaryPath, '.'], { cwd: source, env });
        return;
      }
      await command(go, ['install', 'github.com/volatilityfoundation/dwarf2json@master'], { env });
      await command('mv', [join(cachePath('dwarf2json', 'bin'), 'dwarf2json'), temporaryPath]);
    } catch (cause) {
      throw new SetupFailure(
        'cannot build dwarf2json',
        'Go modules',
        'Put a dwarf2json on PATH, or check the network and try again.',
        cause,
      );
    }
  });
}
