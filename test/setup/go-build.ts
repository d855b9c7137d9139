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

async function findGo(what: string): Promise<string> {
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
