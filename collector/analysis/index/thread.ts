import { Worker } from 'node:worker_threads';
import { Fault } from '@kcorder/proto/fault.ts';
import type { ThreadAnswer, ThreadData, ThreadTask } from './tasks-of-thread.ts';

/** Of JavaScript; what SQLite holds besides is bounded by its cache. */
const mostHeapMib = 512;

/** A thread that does one task after the other. It is started by the first, and again after one that it did not survive. */
export class IndexThread {
  readonly #stop = new Int32Array(new SharedArrayBuffer(4));
  #worker: Worker | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  /**
   * Does the task in its turn. A signal ends its search, a time that has passed the thread. Throws the fault of the task, the signal's reason,
   * deadline_exceeded, and internal when the thread broke down.
   */
  run(task: ThreadTask, mostMs: number, signal?: AbortSignal): Promise<ThreadAnswer> {
    const turn = this.#last.then(() => this.#perform(task, mostMs, signal));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#worker?.terminate();
  }

  async #perform(task: ThreadTask, mostMs: number, signal: AbortSignal | undefined): Promise<ThreadAnswer> {
    signal?.throwIfAborted();
    if (this.#isClosed) throw new Fault('unavailable', 'the collector is ending. Try again');
    Atomics.store(this.#stop, 0, 0);
    const end = (): void => void Atomics.store(this.#stop, 0, 1);
    signal?.addEventListener('abort', end, { once: true });
    this.#worker ??= this.#start();
    const worker = this.#worker;
    const { promise, resolve, reject } = Promise.withResolvers<ThreadAnswer>();
    const broke = (cause: unknown): void => reject(brokeDown(cause));
    worker.on('message', resolve).on('error', broke).on('exit', broke);
    const timer = setTimeout(() => {
      this.#worker = undefined;
      void worker.terminate();
      reject(new Fault('deadline_exceeded', `work on results took longer than ${mostMs / 1000} s and was ended`));
    }, mostMs);
    try {
      worker.postMessage(task);
      const answer = await promise;
      signal?.throwIfAborted();
      if (answer.kind !== 'fault') return answer;
      const cause = new Error(answer.causes.join('; '));
      throw new Fault(answer.code, answer.message, { cause });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      worker.off('message', resolve).off('error', broke).off('exit', broke);
    }
  }

  #start(): Worker {
    const workerData: ThreadData = { stop: this.#stop };
    const worker = new Worker(new URL('./thread-worker.ts', import.meta.url), {
      workerData,
      env: {},
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: mostHeapMib },
    });
    worker.unref();
    worker.once('exit', () => {
      if (this.#worker === worker) this.#worker = undefined;
    });
    return worker;
  }
}

const brokeDown = (cause: unknown): Fault =>
  new Fault('internal', 'work on results broke down; the cause is in the log of the collector', { cause });
