import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../collector/testing/free-port.ts';
import { ensureFakeGcs } from '../setup/fake-gcs.ts';

/** A fake-gcs-server in a process of its own, with its objects in a folder that goes away with it. */
export interface GcsServer {
  /** http://127.0.0.1:PORT. The product talks to it through a FaultProxy, which makes up for what the server gets wrong. */
  readonly endpoint: string;
  makeBucket(name: string): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a server and waits until it answers. */
export async function startGcs(): Promise<GcsServer> {
  const program = await ensureFakeGcs();
  const port = await freePort();
  const dir = mkdtempSync(join(tmpdir(), 'kcorder-gcs-'));
  const endpoint = `http://127.0.0.1:${port}`;
  const child = spawn(
    program,
    [
      ...['-scheme', 'http', '-host', '127.0.0.1', '-port', String(port), '-backend', 'filesystem'],
      ...['-filesystem-root', dir, '-public-host', `127.0.0.1:${port}`, '-log-level', 'error'],
    ],
    { stdio: 'ignore' },
  );
  const killWithUs = (): boolean => child.kill('SIGKILL');
  process.on('exit', killWithUs);
  child.once('exit', () => process.off('exit', killWithUs));
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    rmSync(dir, { recursive: true, force: true });
  };
  while (
    !(await fetch(`${endpoint}/_internal/healthcheck`).then(
      ({ ok }) => ok,
      () => false,
    ))
  ) {
    if (child.exitCode !== null) {
      await stop();
      throw new Error(`fake-gcs-server ended with ${child.exitCode}`);
    }
    await sleep(20);
  }
  return {
    endpoint,
    stop,
    async makeBucket(name) {
      const body = JSON.stringify({ name });
      const headers = { 'content-type': 'application/json' };
      const answer = await fetch(`${endpoint}/storage/v1/b`, { method: 'POST', headers, body });
      if (!answer.ok) throw new Error(`no bucket ${name}: HTTP ${answer.status}, ${await answer.text()}`);
    },
  };
}
