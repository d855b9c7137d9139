/** A line longer than the reader takes. */
export class LineTooLong extends Error {
  constructor(limitBytes: number) {
    super(`a line of more than ${limitBytes} bytes`);
    this.name = 'LineTooLong';
  }
}

/**
 * The lines of a byte stream without their line ends, as they come: the source is not read on while the reader is busy. Bytes after the last line
 * end are a line too. No more than the limit is held: a line beyond it is told at once as LineTooLong, and the rest of it skipped.
 */
export async function* readLines(
  source: AsyncIterable<Buffer>,
  limitBytes: number,
): AsyncGenerator<Buffer | LineTooLong, void, undefined> {
  // One buffer that grows, since the source may write a byte at a time, and each piece of it is an object.
  let held = Buffer.alloc(0);
  let heldBytes = 0;
  let skipping = false;
  for await (const chunk of source) {
    let from = 0;
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, from)) {
      const last = chunk.subarray(from, end);
      if (!skipping && heldBytes + last.length > limitBytes) yield new LineTooLong(limitBytes);
      else if (!skipping) yield heldBytes === 0 ? last : Buffer.concat([held.subarray(0, heldBytes), last]);
      skipping = false;
      heldBytes = 0;
      from = end + 1;
    }
    if (skipping) continue;
    const rest = chunk.subarray(from);
    const neededBytes = heldBytes + rest.length;
    if (neededBytes > limitBytes) {
      skipping = true;
      heldBytes = 0;
      yield new LineTooLong(limitBytes);
      continue;
    }
    if (neededBytes > held.length) {
      const larger = Buffer.alloc(Math.max(neededBytes, Math.min(2 * held.length, limitBytes)));
      held.copy(larger, 0, 0, heldBytes);
      held = larger;
    }
    rest.copy(held, heldBytes);
    heldBytes = neededBytes;
  }
  if (heldBytes > 0) yield Buffer.from(held.subarray(0, heldBytes));
}
