/*
 * The fake AVML's body: writes a recorded image to a FIFO at a chosen speed. Arguments: image, FIFO, file for its process id, bytes per
 * second (0: as fast as they are taken), exit code.
 */
import { closeSync, openSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const [imagePath = '', fifoPath = '', pidPath = '', speed = '0', exitCode = '0'] = process.argv.slice(2);
const bytesPerSecond = Number(speed);
const image = openSync(imagePath, 'r');
const fifo = openSync(fifoPath, 'w');
writeFileSync(pidPath, String(process.pid));
const buffer = Buffer.alloc(64 << 10);
const startedMs = performance.now();
let total = 0;
for (let bytes = readSync(image, buffer); bytes > 0; bytes = readSync(image, buffer)) {
  for (let done = 0; done < bytes; ) done += writeSync(fifo, buffer, done, bytes - done);
  total += bytes;
  const aheadMs = bytesPerSecond === 0 ? 0 : (total / bytesPerSecond) * 1000 - (performance.now() - startedMs);
  if (aheadMs > 1) await sleep(aheadMs);
}
closeSync(fifo);
if (exitCode !== '0') process.stderr.write('unable to read /proc/kcore\n');
process.exitCode = Number(exitCode);
