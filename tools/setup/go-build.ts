import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { buildOnce } from './build-once.ts';
import { cachePath } from './cache.ts';
import { command } from './command.ts';
import { findProgram } from './environment.ts';
import { SetupFailure } from './failure.ts';

const oldestGo = [1, 24] as const;

/** Builds the Go program in the folder `source` as a static file at `target`, of exactly the modules that its go.sum lists. */
export async function buildGoProgram(what: string, source: string, target: string, linkerFlags: string[] = []) {
  const go = await findGo(what);
  const flags = ['-mod=readonly', '-trimpath', '-ldflags', ['-s', '-w', ...linkerFlags].join(' ')];
  const env = { CGO_ENABLED: '0', GOFLAGS: '', GOWORK: 'off' };
  await command(go, ['build', ...flags, '-o', target, '.'], { cwd: source, env }).catch((cause: unknown) => {
    throw new SetupFailure(
      `cannot build ${what}`,
      'Go modules',
      'Check the network and that 5 GB of disk are free, then try again: Go goes on where it stopped.',
      cause,
    );
  });
}

/** The path of a program of a public Go module, built once, without cgo, in the version named; `variables` are set by the linker. */
export async function installGoProgram(
  module: string,
  version: string,
  variables: Readonly<Record<string, string>> = {},
): Promise<string> {
  const name = module.slice(module.lastIndexOf('/') + 1);
  const what = `${name} ${version} (go)`;
  return await buildOnce(cachePath('go', `${name}-${version}`), what, async (temporaryPath) => {
    const bin = `${temporaryPath}.bin`;
    const linker = Object.entries(variables).map(([variable, value]) => `-X ${variable}=${value}`);
    const flags = `-ldflags=${['-s', '-w', ...linker].join(' ')}`;
    const env = { GOBIN: bin, CGO_ENABLED: '0', GOFLAGS: '-mod=mod', GOWORK: 'off' };
    await command(await findGo(what), ['install', flags, `${module}@v${version}`], { env }).catch((cause: unknown) => {
      throw new SetupFailure(`cannot build ${what}`, 'Go modules', 'Check the network, then try again.', cause);
    });
    renameSync(join(bin, name), temporaryPath);
    rmSync(bin, { recursive: true });
  });
}

/** The version of the Go on PATH if it is new enough, for whoever wants to tell. */
export async function goVersion(): Promise<string | undefined> {
  return await findGo('a program').then(
    async (go) => (await command(go, ['env', 'GOVERSION'], { env: { GOTOOLCHAIN: 'local' }, cwd: '/' })).trim(),
    () => undefined,
  );
}

/** The path of Go. Throws a SetupFailure that says what it is needed for. */
export async function findGo(what: string): Promise<string> {
  const go = findProgram('go');
  // GOTOOLCHAIN: a Go that would fetch a newer one tells its own version
  const version = go ? await command(go, ['env', 'GOVERSION'], { env: { GOTOOLCHAIN: 'local' }, cwd: '/' }) : '';
  const [, major = 0, minor = 0] = /^go(\d+)\.(\d+)/.exec(version) ?? [];
  const isNewEnough = Number(major) > oldestGo[0] || (Number(major) === oldestGo[0] && Number(minor) >= oldestGo[1]);
  if (go && isNewEnough) return go;
  throw new SetupFailure(
    `${what} is built with Go ${oldestGo.join('.')} or newer; ${go ? `${go} is ${version.trim()}` : 'there is none'}`,
    'this machine',
    'Install it (https://go.dev/dl) and put it on PATH, then try again.',
  );
}
