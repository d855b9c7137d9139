import { existsSync, rmSync } from 'node:fs';
import { listClusters } from '../lab/cluster/state.ts';
import { list } from '../lab/state.ts';
import { cacheDir } from './cache.ts';
import { say } from './progress.ts';

/** Removes the cache, unless lab nodes or clusters are up that live in it. Exit code. */
export async function clean(): Promise<number> {
  const up = list().map((node) => node.name);
  if (up.length > 0) {
    say(
      `lab nodes are up: ${up.join(', ')}. Take them down first: ${up.map((name) => `./dev lab down --name ${name}`).join(' && ')}`,
    );
    return 1;
  }
  if (listClusters().length > 0) {
    say('a lab cluster is up. Take it down first: ./dev cluster down, or end what has started it');
    return 1;
  }
  if (existsSync(cacheDir)) rmSync(cacheDir, { recursive: true, force: true });
  say(`removed ${cacheDir}`);
  return 0;
}
