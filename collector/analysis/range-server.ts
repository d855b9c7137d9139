// Why it is done this way: docs/decisions/026-ranges-for-the-analysis.md

import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { RangeSource } from '../store/range-source.ts';
import { ProtocolError } from './protocol.ts';

/**
 * How a runner reads an image that is no plain file: it asks on its file descriptor 3, a socket, and waits for the answer. Numbers are
 * little-endian.
 *
 *   request: offset u64, length u32 (1 byte to 4 MiB, within the image)
 *   answer:  exactly `length` bytes
 *
 * There is no answer that says that bytes cannot be read: then the run is ended, so that nothing takes them for bytes that are not in the image.
 */
const requestBytes = 12;
const largestRequestBytes = 4 << 20;

/**
 * Answers one request after the other, until the runner closes its end. Never rejects: what cannot be answered is told to `failed` before the
 * runner can notice, as a ProtocolError or what the source has thrown, and is the end.
 */
export async function serveRanges(
  channel: Duplex,
  source: RangeSource,
  failed: (error: unknown) => void,
  signal: AbortSignal,
): Promise<void> {
  const answers = async function* (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const request of readRequests(chunks)) {
      const data = await answer(source, request, signal).catch((error: unknown) => {
        failed(error);
        throw error;
      });
      yield data;
    }
  };
  // A runner that ends breaks the channel; its exit tells why.
  await pipeline(channel, answers, channel).catch(() => {});
  channel.destroy();
}

interface Request {
  readonly offset: number;
  readonly length: number;
}

async function answer(source: RangeSource, { offset, length }: Request, signal: AbortSignal): Promise<Buffer> {
  const { sizeBytes } = source;
  if (length === 0 || length > largestRequestBytes || offset + length > sizeBytes)
    throw new ProtocolError(`the runner asked for ${length} bytes at ${offset} of an image of ${sizeBytes}`);
  return await source.read(offset, length, signal);
}

async function* readRequests(chunks: AsyncIterable<Buffer>): AsyncGenerator<Request> {
  let held: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    for (; held.length >= requestBytes; held = held.subarray(requestBytes)) {
      const offset = Number(held.readBigUInt64LE(0));
      const length = held.readUInt32LE(8);
      yield { offset, length };
    }
  }
}
