import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cachePath } from './cache.ts';
import { command } from './command.ts';
import { SetupFailure } from './failure.ts';
import { withLock } from './lock.ts';
import { step } from './progress.ts';

/** Package lists of chosen Debian suites, with a source list, a cache and a status file apart from this machine's own. */
export interface DebianLists {
  /** Words for apt-get and apt-cache that make them use these lists. */
  options: string[];
  refresh: () => Promise<void>;
}

const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** Returns the lists of these suites, such as `trixie` and `trixie-security`; fetches them when they are not in the cache. */
export async function ensureDebianLists(name: string, suites: readonly string[]): Promise<DebianLists> {
  const folder = cachePath('apt', name, '.');
  const options = listOptions(folder);
  const complete = join(folder, 'complete');
  const refresh = async (): Promise<void> => {
    await withLock(cachePath('apt', `${name}.lock`), async () => await fetchLists(folder, suites, options));
    writeFileSync(complete, '');
  };
  if (!existsSync(complete)) await refresh();
  return { options, refresh };
}

async function fetchLists(folder: string, suites: readonly string[], options: string[]): Promise<void> {
  for (const part of ['lists/partial', 'archives/partial']) mkdirSync(join(folder, part), { recursive: true });
  writeFileSync(join(folder, 'status'), '');
  await step(`package lists of Debian ${suites.join(', ')}`, async () => {
    try {
      const mirrors = await ownMirrors();
      writeFileSync(
        join(folder, 'sources.list'),
        sourceList(mirrors, suites, existsSync(keyring) ? keyring : undefined),
      );
      // Not the exit code alone: apt-get counts an index that it could not fetch as a warning.
      await command('apt-get', [...options, '-q', '-o', 'APT::Update::Error-Mode=any', 'update']);
    } catch (cause) {
      rmSync(join(folder, 'complete'), { force: true });
      throw new SetupFailure(
        `cannot fetch the package lists of Debian ${suites.join(', ')}`,
        'Debian packages',
        'Check the network, and that this machine has Debian as a source of packages, then try again.',
        cause,
      );
    }
  });
}

export interface Mirrors {
  archive: string;
  security: string;
}

/** The servers that this machine takes Debian's packages from. */
async function ownMirrors(): Promise<Mirrors> {
  return mirrorsIn(
    await command('apt-get', ['indextargets', '--format', '$(REPO_URI) $(RELEASE)', 'Created-By: Packages']),
  );
}

/** Finds the servers of Debian's archive and of its security updates in lines of `URI SUITE`. */
export function mirrorsIn(lines: string): Mirrors {
  const uris = lines.split('\n').map((line) => line.split(' ')[0] ?? '');
  const archive = uris.find((uri) => /\/debian\/?$/.test(uri))?.replace(/\/$/, '');
  const security = uris.find((uri) => /\/debian-security\/?$/.test(uri))?.replace(/\/$/, '');
  if (archive === undefined) throw new Error('no source of this machine ends with /debian');
  return { archive, security: security ?? `${archive}-security` };
}

/** Returns the text of a source list: suites that end with `-security` come from the server of security updates. */
export function sourceList(mirrors: Mirrors, suites: readonly string[], signedBy?: string): string {
  const signed = signedBy === undefined ? '' : ` [signed-by=${signedBy}]`;
  return suites
    .map((suite) => `deb${signed} ${suite.endsWith('-security') ? mirrors.security : mirrors.archive} ${suite} main\n`)
    .join('');
}

function listOptions(folder: string): string[] {
  const settings = [
    `Dir::Etc::sourcelist=${join(folder, 'sources.list')}`,
    'Dir::Etc::sourceparts=/dev/null',
    'Dir::Etc::preferences=/dev/null',
    'Dir::Etc::preferencesparts=/dev/null',
    `Dir::State::Lists=${join(folder, 'lists')}`,
    `Dir::State::status=${join(folder, 'status')}`,
    `Dir::Cache=${folder}`,
    'Acquire::Languages=none',
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false',
    'Acquire::Retries=3',
    'Debug::NoLocking=1',
    'APT::Sandbox::User=',
  ];
  return settings.flatMap((setting) => ['-o', setting]);
}
