import { createHash, randomUUID } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { Client } from '@grpc/grpc-js';
import { connect } from '@kcorder/proto/bridge/connect.ts';
import { IngestService } from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
import { limeImage } from '../../../collector/testing/lime-image.ts';

const image = limeImage(1, [4096]);
const sha256 = createHash('sha256').update(image).digest();

/** Sends one page as the whole memory of a node, as an agent does. */
export async function uploadTiny(client: Client, captureId: string, signal: AbortSignal): Promise<void> {
  const stream = connect(IngestService, client).upload({ signal });
  const acquirer = { name: 'avml', version: '0.21.0', sha256: 'cd'.repeat(32) };
  const start = { acquirer, argv: ['avml'], bootId: 'boot', containers: [] };
  const value = { captureId, acquisitionId: randomUUID(), attempt: 1, heldFrom: 0n, start };
  await stream.send({ message: { case: 'open', value } });
  for await (const { message } of stream.responses) {
    if (message.case !== 'resume') continue;
    await stream.send({ message: { case: 'chunk', value: { offset: 0n, data: image, crc32: crc32(image) } } });
    await stream.send({
      message: { case: 'finish', value: { bytes: BigInt(image.length), sha256, exitCode: 0 } },
    });
  }
}
