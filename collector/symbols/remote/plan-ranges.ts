import type { ByteRange } from './download.ts';

/**
 * The ranges to ask for so that all parts come: in order, none overlapping, parts joined when at most `gapBytes` lie between them, and none
 * longer than `pieceBytes`.
 */
export function planRanges(parts: readonly ByteRange[], gapBytes: number, pieceBytes: number): ByteRange[] {
  const joined: { fromBytes: number; toBytes: number }[] = [];
  for (const { offsetBytes, lengthBytes } of parts.toSorted((a, b) => a.offsetBytes - b.offsetBytes)) {
    if (lengthBytes === 0) continue;
    const last = joined.at(-1);
    const toBytes = offsetBytes + lengthBytes;
    if (last !== undefined && offsetBytes - last.toBytes <= gapBytes) last.toBytes = Math.max(last.toBytes, toBytes);
    else joined.push({ fromBytes: offsetBytes, toBytes });
  }
  return joined.flatMap(({ fromBytes, toBytes }) => split(fromBytes, toBytes, pieceBytes));
}

function split(fromBytes: number, toBytes: number, pieceBytes: number): ByteRange[] {
  const pieces: ByteRange[] = [];
  for (let at = fromBytes; at < toBytes; at += pieceBytes) {
    pieces.push({ offsetBytes: at, lengthBytes: Math.min(pieceBytes, toBytes - at) });
  }
  return pieces;
}
