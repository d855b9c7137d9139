import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';

/** What a link is told. */
export interface LinkOptions {
  /** Where its far end leads, on 127.0.0.1. */
  readonly targetPort: number;
  /** In each direction. */
  readonly delayMs: number;
}

const { targetPort, delayMs } = JSON.parse(process.argv[2] ?? '') as LinkOptions;
const socketOptions = { highWaterMark: 4 << 20, noDelay: true, allowHalfOpen: true } as const;
/** Far above what a link of this delay holds at any rate that a machine reaches: only a receiver that stands still fills it. */
const queueLimitBytes = 64 << 20;

interface Piece {
  readonly dueMs: number;
  /** Undefined: the end. */
  readonly data: Buffer | undefined;
}

/** One direction of a connection: what comes in goes out `delayMs` later, in order. */
class Direction {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #queue: Piece[] = [];
  #queuedBytes = 0;

  constructor(from: Socket, to: Socket) {
    this.#from = from;
    this.#to = to;
    from.on('data', (data: Buffer) => this.#push(data));
    from.on('end', () => this.#push(undefined));
    from.on('error', () => to.destroy());
    from.on('close', () => directions.delete(this));
    to.on('drain', () => this.deliver(performance.now()));
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0;
  }

  #push(data: Buffer | undefined): void {
    this.#queue.push({ dueMs: performance.now() + delayMs, data });
    this.#queuedBytes += data?.length ?? 0;
    if (this.#queuedBytes > queueLimitBytes) this.#from.pause();
    startClock();
  }

  deliver(nowMs: number): void {
    let count = 0;
    this.#to.cork();
    for (const { dueMs, data } of this.#queue) {
      if (dueMs > nowMs || this.#to.writableNeedDrain) break;
      count += 1;
      this.#queuedBytes -= data?.length ?? 0;
      if (data === undefined) this.#to.end();
      else this.#to.write(data);
    }
    this.#to.uncork();
    this.#queue.splice(0, count);
    if (this.#queuedBytes < queueLimitBytes / 2) this.#from.resume();
  }
}

const directions = new Set<Direction>();
const flag = new Int32Array(new SharedArrayBuffer(4));
const clock = new Worker(join(import.meta.dirname, 'clock-worker.ts'), { workerData: { flag, tickMs: 0.1 } });
clock.on('message', () => {
  const nowMs = performance.now();
  let idle = true;
  for (const direction of directions) {
    direction.deliver(nowMs);
    idle &&= direction.isEmpty;
  }
  if (idle) Atomics.store(flag, 0, 0);
});

function startClock(): void {
  if (Atomics.exchange(flag, 0, 1) === 0) Atomics.notify(flag, 0);
}

const server = createServer(socketOptions, (near) => {
  const far = connect({ ...socketOptions, port: targetPort, host: '127.0.0.1' });
  directions.add(new Direction(near, far));
  directions.add(new Direction(far, near));
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${JSON.stringify(server.address())}\n`));
