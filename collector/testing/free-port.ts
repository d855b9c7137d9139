import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Below the ports that the kernel gives to outgoing connections, and below those of Kubernetes' NodePorts. */
const [lowest, count] = [15_000, 15_000];
const claims = join(tmpdir(), 'kcorder-ports');

/**
 * Returns a port of the loopback that nobody listens on, and that nobody else gets from here while this process lives: between the look at a port and
 * the start of a server that uses it, the kernel would give it away to any connection.
 */
export async function freePort(): Promise<number> {
  mkdirSync(claims, { recursive: true });
  for (;;) {
    const port = lowest + Math.floor(Math.random() * count);
    if (claim(join(claims, String(port))) && (await isFree(port))) return port;
  }
}

/** Makes the file of a port, or takes over that of a process that has ended. */
function claim(path: string): boolean {
  try {
    writeFileSync(path, String(process.pid), { flag: 'wx' });
    return true;
  } catch {
    if (!isOver(path)) return false;
    rmSync(path, { force: true });
    return claim(path);
  }
}

function isOver(path: string): boolean {
  try {
    process.kill(Number(readFileSync(path, 'utf8')), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const free = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true));
  });
  await new Promise((resolve) => server.close(resolve));
  return free;
}
