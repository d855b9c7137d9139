import { WorkerProcess } from '../worker-process.ts';
import { monotonicMs } from './clock.ts';
import { checkOpenFiles } from './open-files.ts';
import type { AgentsCommand, FleetNode, Standing } from './protocol.ts';

/** The agents of a fleet, dealt out to a few processes. */
export class Agents {
  readonly #workers: readonly WorkerProcess[];
  readonly #workerOf = new Map<string, WorkerProcess>();

  constructor(processes: number) {
    this.#workers = Array.from({ length: processes }, () => new WorkerProcess('fleet/agents-worker.ts', {}));
  }

  /** Every node gets its certificate. Resolves with the seconds that it took. */
  async enrol(nodes: readonly FleetNode[], apiAddress: string, ca: string, uploads = false): Promise<number> {
    const shares = this.#workers.map((_, index) => nodes.filter((__, place) => place % this.#workers.length === index));
    for (const [index, worker] of this.#workers.entries()) {
      const share = shares[index] ?? [];
      checkOpenFiles(worker.pid, share.length, 'a process of simulated agents');
      for (const { name } of share) this.#workerOf.set(name, worker);
    }
    return await this.#all((index) => ({ do: 'enrol', apiAddress, ca, nodes: shares[index] ?? [], uploads }));
  }

  /** Every agent attaches at once. Resolves with the seconds until the last was welcomed. */
  async attach(address: string): Promise<number> {
    return await this.#all(() => ({ do: 'attach', address }));
  }

  async detach(): Promise<void> {
    await this.#all(() => ({ do: 'detach' }));
  }

  async count(): Promise<Standing> {
    const counts = await Promise.all(
      this.#workers.map(async (worker) => {
        worker.tell({ do: 'count' } satisfies AgentsCommand);
        return await worker.line(({ did }) => did === 'count');
      }),
    );
    const sum = (key: string): number => counts.reduce((total, count) => total + Number(count[key]), 0);
    const lastFailure = String(counts.find((count) => count.lastFailure !== '')?.lastFailure ?? '');
    return { standing: sum('standing'), losses: sum('losses'), failures: sum('failures'), lastFailure };
  }

  /** When the order reached its agent, on the monotonic clock. */
  async orderedAtMs(nodeName: string, captureId: string): Promise<number> {
    const worker = this.#workerOf.get(nodeName);
    if (worker === undefined) throw new Error(`there is no agent of node ${nodeName}`);
    return Number((await worker.line((line) => line.captureId === captureId)).atMs);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.stop()));
  }

  async #all(commandOf: (worker: number) => AgentsCommand): Promise<number> {
    const beganMs = monotonicMs();
    await Promise.all(
      this.#workers.map(async (worker, index) => {
        const command = commandOf(index);
        worker.tell(command);
        await worker.line(({ did }) => did === command.do);
      }),
    );
    return (monotonicMs() - beganMs) / 1000;
  }
}
