import { setTimeout as sleep } from 'node:timers/promises';
import { say } from '../setup/progress.ts';
import { type Machine, readIfThere, startQemu } from './qemu.ts';

export type Boot =
  | { kind: 'ready'; pid: number }
  | { kind: 'failed'; why: string; portTaken: boolean; chance?: Chance };

/** What befalls a machine by chance. */
type Chance = keyof typeof chances;

const bootLimitMs = 300_000;
const silenceLimitMs = 150_000;
/** What befalls a machine by chance, and how often one is booted until that is told. */
const chances = {
  /** An emulated kernel 7.3 can hang before its first word when the machine is busy (2 of 9 boots). */
  silent: { is: 'the kernel hung before its first word', mostBoots: 3 },
  /** Threads of QEMU's TCG race in the first seconds: the assertion `iotlb_to_section` fails. */
  aborted: { is: 'QEMU aborted before the node was ready', mostBoots: 2 },
} as const;

/**
 * Starts the machine and waits until its console says that it is ready; one that fails or takes too long is ended, and one that failed by
 * chance is started again.
 */
export async function boot(machine: Machine, started: (pid: number) => void, signal?: AbortSignal): Promise<Boot> {
  for (let attempt = 1; ; attempt++) {
    const ended = await bootOnce(machine, started, signal);
    if (ended.kind === 'ready' || ended.chance === undefined) return ended;
    const { is, mostBoots } = chances[ended.chance];
    if (attempt >= mostBoots) return { ...ended, why: `${is}, at attempt ${attempt}: try again. ${ended.why}` };
    say(`${is} (${machine.consolePath}): booting it again`);
  }
}

async function bootOnce(machine: Machine, started: (pid: number) => void, signal?: AbortSignal): Promise<Boot> {
  const qemu = startQemu(machine);
  let failure: string | undefined;
  let chance: Chance | undefined;
  qemu.once('error', (error) => {
    failure = error.message;
  });
  qemu.once('exit', (code, how) => {
    failure = `QEMU ended (${how ?? `exit code ${code}`})`;
    if (how === 'SIGABRT') chance = 'aborted';
  });
  qemu.unref();
  if (qemu.pid !== undefined) started(qemu.pid);
  const startMs = performance.now();
  while (failure === undefined && !signal?.aborted) {
    const console = readIfThere(machine.consolePath);
    if (/^lab: .*a pod did not start/m.test(console)) failure = 'a pod did not start';
    else if (/^lab: ready/m.test(console) && qemu.pid !== undefined) return { kind: 'ready', pid: qemu.pid };
    else if (console === '' && performance.now() > startMs + silenceLimitMs) {
      failure = `nothing on its console after ${silenceLimitMs / 1000} s`;
      chance = 'silent';
    } else if (performance.now() > startMs + bootLimitMs) failure = `not ready after ${bootLimitMs / 1000} s`;
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
    ...(chance && { chance }),
  };
}
