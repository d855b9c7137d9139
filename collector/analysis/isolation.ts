import { type Confined, confinementLevels, type Isolation } from './analysis.ts';
import { startChild } from './child.ts';
import { runnerEnvironment } from './environment.ts';

const endWithParent = ['setpriv', '--pdeathsig', 'KILL'];
const withoutNetwork = ['unshare', '--net'];
const probeWallMs = 5_000;

/** What to put before a command so that it has no network and dies with us, as far as this machine lets us, and what that comes to. */
export interface Surroundings {
  readonly argv: readonly string[];
  readonly isolation: Isolation;
}

/** Tries what works here, by running `true` under it. Needs setpriv and unshare of util-linux, and root for the network namespace. */
export async function probeSurroundings(): Promise<Surroundings> {
  const endsWithCollector = await works(endWithParent);
  const noNetwork = await works(withoutNetwork);
  return {
    argv: [...(endsWithCollector ? endWithParent : []), ...(noNetwork ? withoutNetwork : [])],
    isolation: { network: noNetwork ? 'none' : 'shared', endsWithCollector },
  };
}

/** Returns the lowest of confinements; nothing of none. */
export function leastConfined(all: readonly Confined[]): Pick<Isolation, 'confined'> {
  const rank = ({ level }: Confined) => confinementLevels.indexOf(level);
  const [least] = all.toSorted((one, other) => rank(one) - rank(other));
  return least === undefined ? {} : { confined: least };
}

async function works(prefix: readonly string[]): Promise<boolean> {
  try {
    const child = await startChild([...prefix, 'true'], { cwd: '/', env: runnerEnvironment('/nonexistent') });
    child.stdin.end();
    child.stdout.resume();
    const timer = setTimeout(() => child.kill(), probeWallMs);
    const { code } = await child.ended;
    clearTimeout(timer);
    return code === 0;
  } catch {
    return false;
  }
}
