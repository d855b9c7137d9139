import { setTimeout as sleep } from 'node:timers/promises';
import { type Machine, readIfThere, startQemu } from './qemu.ts';

export type Boot = { kind: 'ready'; pid: number } | { kind: 'failed'; why: string; portTaken: boolean };

const bootLimitMs = 300_000;

/** Starts the machine and waits until its console says that it is ready; one that fails or takes too long is ended. */
export async function boot(machine: Machine, started: (pid: number) => void, signal?: AbortSignal): Promise<Boot> {
  const qemu = startQemu(machine);
  let failure: string | undefined;
  qemu.once('error', (error) => {
    failure = error.message;
  });
  qemu.once('exit', (code, how) => {
    failure = `QEMU ended (${how ?? `exit code ${code}`})`;
  });
  qemu.unref();
  if (qemu.pid !== undefined) started(qemu.pid);
  const deadline = performance.now() + bootLimitMs;
  while (failure === undefined && !signal?.aborted) {
    const console = readIfThere(machine.consolePath);
    if (/^lab: .*a pod did not start/m.test(console)) failure = 'a pod did not start';
    else if (/^lab: ready/m.test(console) && qemu.pid !== undefined) return { kind: 'ready', pid: qemu.pid };
    else if (performance.now() > deadline) failure = `not ready after ${bootLimitMs / 1000} s`;
    else await sleep(50);
  }
  qemu.kill('SIGKILL');
  signal?.throwIfAborted();
  const said = readIfThere(machine.logPath).trim();
  const lastLines = readIfThere(machine.consolePath).trim().split('\n').slice(-15);
  return {
    kind: 'failed',
    why: [failure, said, ...lastLines].filter(Boolean).join('\n'),
    portTaken: /host forwarding/i.test(said),
  };
}
