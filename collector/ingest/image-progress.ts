import { Fault } from '@kcorder/proto/fault.ts';
import type { RamRange } from '../capture/capture.ts';
import type { LimeWalker } from '../evidence/lime.ts';

/** Bytes of System RAM up to the end of the record that is arriving: how far AVML has come, zero blocks included. */
export function scannedBytes(ranges: readonly RamRange[], walker: LimeWalker): number {
  const last = walker.lastRecord;
  if (last === undefined) return 0;
  let scanned = 0n;
  for (const { start, end } of ranges) {
    if (start > last.end) break;
    const complete = end <= last.end;
    scanned += (complete ? end : last.end) - start + 1n;
  }
  return Number(scanned);
}

const recordBytes = 16 << 20;
const headerBytes = 32;

/** Upper bound of a node's LiME image: all its System RAM, a header for each 16 MiB and each range, and room for a range more. Throws invalid_argument for a range that ends before it starts: sums and limits go by this. */
export function imageCeilingBytes(ranges: readonly RamRange[]): number {
  let bytes = 0;
  for (const { start, end } of ranges) {
    if (end < start) throw new Fault('invalid_argument', `a range of memory from ${start} to ${end} has no size`);
    const size = Number(end - start) + 1;
    bytes += size + headerBytes * (Math.ceil(size / recordBytes) + 1);
  }
  return bytes + (1 << 20);
}
