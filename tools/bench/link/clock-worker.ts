import { parentPort, workerData } from 'node:worker_threads';

// Timers count in whole milliseconds; a thread that waits on memory wakes up within some tens of microseconds.
const { flag, tickMs } = workerData as { flag: Int32Array; tickMs: number };
const never = new Int32Array(new SharedArrayBuffer(4));
while (true) {
  Atomics.wait(flag, 0, 0);
  Atomics.wait(never, 0, 0, tickMs);
  parentPort?.postMessage(0);
}
