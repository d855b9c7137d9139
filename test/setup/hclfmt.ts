import { join } from 'node:path';
import { buildOnce } from './build-once.ts';
import { cachePath } from './cache.ts';
import { command } from './command.ts';
import { findProgram } from './environment.ts';
import { SetupFailure } from './failure.ts';
import { installPackages } from './host-packages.ts';

const version = 'v2.24.0';

/** The path of hclfmt, which parses and formats Terraform's language: built by Go at a pinned version, never taken from PATH. */
export async function ensureHclfmt(): Promise<string> {
  return await buildOnce(cachePath('hclfmt', version, 'hclfmt'), 'hclfmt (go)', async (temporaryPath) => {
    if (!findProgram('go')) await installPackages(['golang-go']);
    const go = findProgram('go') ?? 'go';
    const binDir = cachePath('hclfmt', version, 'bin', '.');
    try {
      await command(go, ['install', `github.com/hashicorp/hcl/v2/cmd/hclfmt@${version}`], {
        env: { GOBIN: binDir, CGO_ENABLED: '0' },
      });
      await command('mv', [join(binDir, 'hclfmt'), temporaryPath]);
    } catch (cause) {
      throw new SetupFailure('cannot build hclfmt', 'Go modules', 'Check the network and try again.', cause);
    }
  });
}
