/** A line longer than the reader takes. */
export class LineTooLong extends Error {
  constructor(limitBytes: number) {
    super(`a line of more than ${limitBytes} bytes`);
    this.name = 'LineTooLong';
  }
}

/**
 * The lines of a byte stream without their line ends, as they come: the source is not read on while the reader is busy. Bytes after the last line
 * end are a line too. Throws LineTooLong before more than the limit is held.
 */
export async function* readLines(
  source: AsyncIterable<Buffer>,
  limitBytes: number,
): AsyncGenerator<Buffer, void, undefined> {
  let held: Buffer[] = [];
  let heldBytes = 0;
  for await (const chunk of source) {
    let from = 0;
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, from)) {
      const last = chunk.subarray(from, end);
      if (heldBytes + last.length > limitBytes) throw new LineTooLong(limitBytes);
      yield held.length === 0 ? last : Buffer.concat([...held, last]);
      held = [];
      heldBytes = 0;
      from = end + 1;
    }
    const rest = chunk.subarray(from);
    heldBytes += rest.length;
    if (heldBytes > limitBytes) throw new LineTooLong(limitBytes);
    if (rest.length > 0) held.push(rest);
  }
  if (held.length > 0) yield Buffer.concat(held);
}
