import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Runs `work` while no other process holds the lock file at `path`. The kernel's flock holds it, in a small child that ends
 * when its standard input closes: so a holder that dies, however it dies, lets go.
 */
export async function withLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  mkdirSync(dirname(path), { recursive: true });
  const holder = spawn('flock', ['--exclusive', '--no-fork', path, 'sh', '-c', 'echo held && exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    // a Ctrl-C in the terminal is for us; the holder ends with us anyway
    detached: true,
  });
  try {
    await Promise.race([
      once(holder.stdout, 'data'),
      once(holder, 'exit').then(([code]) => {
        throw new Error(`cannot lock ${path}: flock ended with exit code ${code}`);
      }),
    ]);
    return await work();
  } finally {
    holder.stdin.end();
  }
}
