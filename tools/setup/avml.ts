import { copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { buildOnce } from './build-once.ts';
import { cachePath } from './cache.ts';
import { command } from './command.ts';
import { findProgram } from './environment.ts';
import { SetupFailure } from './failure.ts';

export const avmlVersion = '0.21.0';

/** The path of the AVML program, built by cargo with the lock file it was released with (about two minutes). */
export async function ensureAvml(): Promise<string> {
  return await buildOnce(
    cachePath(`avml-${avmlVersion}`, 'avml'),
    `avml ${avmlVersion} (cargo)`,
    async (temporaryPath) => {
      const cargo = findProgram('cargo');
      if (!cargo) {
        throw new SetupFailure(
          `avml ${avmlVersion} is built by cargo, which is missing`,
          'this machine',
          'Install Rust (cargo), then try again.',
        );
      }
      const root = cachePath(`avml-${avmlVersion}`, 'cargo');
      const target = cachePath(`avml-${avmlVersion}`, 'target');
      await command(cargo, ['install', 'avml', '--version', avmlVersion, '--locked', '--root', root], {
        env: { CARGO_TARGET_DIR: target },
      }).catch((cause: unknown) => {
        throw new SetupFailure(
          `cannot build avml ${avmlVersion}`,
          'crates registry',
          'Check the network and that cargo can build (a C compiler is needed), then try again: it goes on where it stopped.',
          cause,
        );
      });
      copyFileSync(join(root, 'bin/avml'), temporaryPath);
      rmSync(target, { recursive: true, force: true });
      rmSync(root, { recursive: true, force: true });
    },
  );
}
