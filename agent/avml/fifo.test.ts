import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { clearFifos, openFifo, type Sink } from './fifo.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kcorder-fifo-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Takes `stopAt` bytes, then says stop until it is emptied. */
function sink(stopAt = Number.POSITIVE_INFINITY) {
  const buffer = Buffer.alloc(1 << 16);
  const hash = createHash('sha256');
  const taken = { bytes: 0, stopAt, digest: () => hash.copy().digest('hex') };
  const target: Sink = {
    space: () => buffer,
    filled: (count) => {
      hash.update(buffer.subarray(0, count));
      taken.bytes += count;
      return taken.bytes < taken.stopAt;
    },
  };
  return { taken, target };
}

test('only its owner can open it', async () => {
  const fifo = await openFifo(dir, 'a');
  expect(statSync(fifo.path).isFIFO()).toBe(true);
  expect(statSync(fifo.path).mode & 0o777).toBe(0o600);
  fifo.close();
  expect(readdirSync(dir)).toEqual([]);
});

test('every byte arrives in order, and the end comes after the last one', async () => {
  const fifo = await openFifo(dir, 'a');
  const { taken, target } = sink();
  const read = fifo.readInto(target);
  const writer = spawn('sh', ['-c', 'seq 1 2000000 > "$0"', fifo.path], { stdio: 'ignore' });
  writer.once('exit', () => fifo.closeWriter());
  await read;
  expect(taken.digest()).toBe(
    createHash('sha256')
      .update(execFileSync('seq', ['1', '2000000'], { maxBuffer: 1 << 25 }))
      .digest('hex'),
  );
  fifo.close();
});

test('a sink that says stop gets no more until it is resumed', async () => {
  const fifo = await openFifo(dir, 'a');
  const { taken, target } = sink(100_000);
  const read = fifo.readInto(target);
  const writer = spawn('sh', ['-c', 'head -c 1000000 /dev/zero > "$0"', fifo.path], { stdio: 'ignore' });
  writer.once('exit', () => fifo.closeWriter());
  while (taken.bytes < 100_000) await sleep(5);
  const stoppedAt = taken.bytes;
  await sleep(200);
  expect(taken.bytes).toBe(stoppedAt);
  expect(writer.exitCode).toBeNull();
  taken.stopAt = Number.POSITIVE_INFINITY;
  fifo.resume();
  await read;
  expect(taken.bytes).toBe(1_000_000);
  fifo.close();
});

test('a writer that never comes leaves no one waiting', async () => {
  const fifo = await openFifo(dir, 'a');
  const { taken, target } = sink();
  const read = fifo.readInto(target);
  fifo.closeWriter();
  await read;
  expect(taken.bytes).toBe(0);
  fifo.close();
});

test('closing it breaks the pipe of whoever still writes', async () => {
  const fifo = await openFifo(dir, 'a');
  const { taken, target } = sink(1);
  const read = fifo.readInto(target);
  const writer = spawn('sh', ['-c', 'exec cat /dev/zero > "$0"', fifo.path], { stdio: 'ignore' });
  const ended = new Promise((resolve) => writer.once('exit', (_, signal) => resolve(signal)));
  while (taken.bytes === 0) await sleep(5);
  fifo.close();
  await read;
  expect(await ended).toBe('SIGPIPE');
});

test('what a killed agent left in the folder is removed, other files are not', () => {
  writeFileSync(join(dir, 'left.fifo'), '');
  writeFileSync(join(dir, 'other'), '');
  clearFifos(dir);
  expect(readdirSync(dir)).toEqual(['other']);
});
