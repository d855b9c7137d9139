// Why it is done this way: docs/decisions/026-ranges-for-the-analysis.md, 035-workers.md

import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { RangeSource } from '../store/range-source.ts';
import { ProtocolError } from './protocol.ts';

/**
 * How a worker reads an image that is no plain file: it asks on a socket, and waits for the answer. Numbers are little-endian.
 *
 *   request: offset u64, length u32 (1 byte to 4 MiB, within the image)
 *   answer:  exactly `length` bytes
 *   mark:    any u64, 0 u32
 *   answer:  the same 12 bytes
 *
 * A worker begins with a random mark: what comes before the answer was for another one, that has died. So at most one request may wait behind one.
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
    for await (const request of readRequests(chunks, failed)) {
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

async function answer(source: RangeSource, request: Buffer, signal: AbortSignal): Promise<Buffer> {
  const { sizeBytes } = source;
  const offset = Number(request.readBigUInt64LE(0));
  const length = request.readUInt32LE(8);
  if (length === 0) return request;
  if (length > largestRequestBytes || offset + length > sizeBytes)
    throw new ProtocolError(`the runner asked for ${length} bytes at ${offset} of an image of ${sizeBytes}`);
  return await source.read(offset, length, signal);
}

async function* readRequests(chunks: AsyncIterable<Buffer>, failed: (error: unknown) => void): AsyncGenerator<Buffer> {
  let held: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    held = Buffer.concat([held, chunk]);
    if (held.length > 2 * requestBytes) {
      failed(new ProtocolError('the runner asked on without waiting for an answer'));
      return;
    }
    for (; held.length >= requestBytes; held = held.subarray(requestBytes)) yield held.subarray(0, requestBytes);
  }
}
