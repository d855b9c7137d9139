import { existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { buildOnce } from './build-once.ts';
import { cachePath } from './cache.ts';
import { command } from './command.ts';
import { findProgram } from './environment.ts';
import { SetupFailure } from './failure.ts';
import { fingerprint } from './fingerprint.ts';

const pythonNames = ['python3', 'python3.13', 'python3.12', 'python3.11'];

/**
 * Returns the path of a Python that has what `requirementsPath` lists, by hash, in an environment of its own: the folder `name`, followed by a
 * hash, of the cache. `title` is for people.
 */
export async function ensurePythonPackages(name: string, title: string, requirementsPath: string): Promise<string> {
  const python = await findPython();
  if (!python) {
    throw new SetupFailure(
      `${title} needs Python 3.11 or newer with venv`,
      'this machine',
      'Install python3 and python3-venv, then try again.',
    );
  }
  const folder = cachePath(`${name}-${fingerprint({ texts: [python], paths: [requirementsPath] })}`);
  // An environment knows its own path, so it is built in place; the file that marks it as whole comes last.
  await buildOnce(join(folder, 'complete'), `${title} (pip)`, async (temporaryPath) => {
    const leftover = `${folder}.leftover`;
    rmSync(leftover, { recursive: true, force: true });
    if (existsSync(join(folder, 'bin'))) renameSync(join(folder, 'bin'), leftover);
    try {
      await command(python, ['-m', 'venv', '--clear', folder]);
      await command(join(folder, 'bin/python'), [
        ...['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input'],
        ...['--require-hashes', '-r', requirementsPath],
      ]);
      await command('touch', [temporaryPath]);
    } catch (cause) {
      throw new SetupFailure(
        `cannot install what ${requirementsPath} lists`,
        'PyPI',
        'Check the network and that Python has venv (Debian: python3-venv), then try again.',
        cause,
      );
    }
  });
  return join(folder, 'bin/python');
}

/** The first Python on PATH that is new enough. */
export async function findPython(): Promise<string | undefined> {
  for (const name of pythonNames) {
    const path = findProgram(name);
    if (!path) continue;
    const works = command(path, ['-c', 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))']);
    if (
      await works.then(
        () => true,
        () => false,
      )
    )
      return path;
  }
  return undefined;
}
