import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';

const pieceBytes = 256 * 1024;

/** The bytes of an ISF. */
export interface IsfBytes {
  readonly sizeBytes: number;
  read(): AsyncIterable<Buffer>;
}

/**
 * An ISF with another text of linux_banner, by which Volatility finds it in an image; unchanged if it does not hold
 * `from`. Both are without line end. Throws errors of the file system and, while it looks for `from`, the signal's reason.
 */
export async function withBanner(
  path: string,
  sizeBytes: number,
  from: string,
  to: string,
  signal?: AbortSignal,
): Promise<IsfBytes> {
  const [old, text] = [constantOf(from), constantOf(to)];
  const at = from === to ? undefined : await find(path, old, signal);
  if (at === undefined) return { sizeBytes, read: () => readFrom(path) };
  return {
    sizeBytes: sizeBytes - old.length + text.length,
    async *read() {
      yield* readFrom(path, { end: at - 1 });
      yield text;
      yield* readFrom(path, { start: at + old.length });
    },
  };
}

/** SHA-256 of the bytes as lower-case hex. */
export async function sha256Of(isf: IsfBytes): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of isf.read()) hash.update(piece);
  return hash.digest('hex');
}

function readFrom(path: string, range: { readonly start?: number; readonly end?: number } = {}): AsyncIterable<Buffer> {
  return createReadStream(path, { ...range, highWaterMark: pieceBytes });
}

/** As it stands in the JSON: the banner with its line end and its NUL, as the kernel has it. */
function constantOf(banner: string): Buffer {
  return Buffer.from(`"${Buffer.from(`${banner}\n\0`).toString('base64')}"`);
}

/** Where a text begins in a file. */
async function find(path: string, text: Buffer, signal: AbortSignal | undefined): Promise<number | undefined> {
  let before = Buffer.alloc(0);
  let readBytes = 0;
  for await (const piece of readFrom(path)) {
    signal?.throwIfAborted();
    const bytes = Buffer.concat([before, piece]);
    const at = bytes.indexOf(text);
    if (at >= 0) return readBytes - before.length + at;
    readBytes += piece.length;
    before = bytes.subarray(-(text.length - 1));
  }
  return undefined;
}
