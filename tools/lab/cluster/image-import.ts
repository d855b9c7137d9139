import { closeSync, createReadStream, openSync } from 'node:fs';
import { exec } from '../exec-client.ts';
import { exitCodeOf, spawnWords } from './namespace.ts';
import { asNative } from './native-node.ts';
import type { ClusterState } from './state.ts';

const importCommand = ['ctr', '--namespace', 'k8s.io', 'images', 'import', '-'];

interface ImportOptions {
  signal?: AbortSignal | undefined;
}

/** Makes the images of OCI archives known to node1: over its exec-server, some 30 MB/s. */
export async function importIntoGuest(
  state: Pick<ClusterState, 'exec'>,
  paths: string[],
  { signal }: ImportOptions,
): Promise<void> {
  for (const path of paths) {
    const said: Buffer[] = [];
    const exitCode = await exec(state.exec, {
      command: importCommand.join(' '),
      stdin: createReadStream(path, { highWaterMark: 65_536 }),
      onStdout: () => {},
      onStderr: (bytes) => void said.push(bytes),
      signal,
    });
    if (exitCode !== 0) throw refused(path, 'node1', said);
  }
}

/** Makes the images of OCI archives known to node2. */
export async function importIntoNative(
  state: Pick<ClusterState, 'native'>,
  paths: string[],
  { signal }: ImportOptions,
): Promise<void> {
  for (const path of paths) {
    const archive = openSync(path, 'r');
    const child = spawnWords([...asNative(state.native), ...importCommand], {
      stdio: [archive, 'ignore', 'pipe'],
      ...(signal ? { signal } : {}),
    });
    closeSync(archive);
    const said: Buffer[] = [];
    child.stderr?.on('data', (bytes: Buffer) => said.push(bytes));
    if ((await exitCodeOf(child)) !== 0) throw refused(path, 'node2', said);
  }
}

function refused(path: string, node: string, said: Buffer[]): Error {
  return new Error(`${node} of the lab cluster cannot import ${path}: ${Buffer.concat(said).toString('utf8').trim()}`);
}
