import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { buildOnce } from '../setup/build-once.ts';
import { cachePath } from '../setup/cache.ts';
import { command } from '../setup/command.ts';
import { fingerprint } from '../setup/fingerprint.ts';
import { say } from '../setup/progress.ts';
import type { NodeState } from './state.ts';

const sourcePath = join(import.meta.dirname, 'host/lab-net.c');

/** The program lab-net if this machine lets it make a network, else undefined: nodes then use QEMU's slow user-mode network. */
export async function ensureLabNet(): Promise<string | undefined> {
  const target = cachePath('lab', 'lab-net', fingerprint({ paths: [sourcePath] }));
  const path = await buildOnce(target, 'lab-net (gcc)', async (temporaryPath) => {
    await command('gcc', ['-O2', '-o', temporaryPath, sourcePath]);
  });
  try {
    await command(path, ['run', '/bin/true']);
    return path;
  } catch (error) {
    say(`- lab nodes get QEMU's slow network: ${error instanceof Error ? error.message.split('\n').at(-1) : error}`);
    return undefined;
  }
}

/** Makes a port of this machine's loopback reachable for the node, as the same port of 10.0.2.2, as long as the node lives. */
export async function forwardPort(node: NodeState, port: number): Promise<void> {
  // QEMU's user-mode network shows the whole loopback anyway
  if (!node.labNetPath) return;
  const forwarder = spawn(node.labNetPath, ['forward', String(node.pid), String(port)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let said = '';
  forwarder.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  // Not its exit: what it said before may come after that.
  const ended = once(forwarder, 'close').then(() => false);
  const forwarding = once(forwarder.stdout, 'data').then(() => true);
  if (!(await Promise.race([forwarding, ended]))) {
    throw new Error(`lab node ${node.name} cannot be given port ${port} of this machine: ${said.trim()}`);
  }
  forwarder.stdout.destroy();
  forwarder.stderr.destroy();
  forwarder.unref();
}
