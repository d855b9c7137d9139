import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { create } from '@bufbuild/protobuf';
import { Client, credentials } from '@grpc/grpc-js';
import { ChunkSchema } from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
import { requireModernTls } from '../../../agent/tls.ts';
import { readLeaf } from '../leaf.ts';
import { type PeerClientOptions, peerService } from './service.ts';

// A plain grpc-js client that does the same duty: reads the FIFO, hashes, sends, and is done when the server has it all on disk.
requireModernTls();
const options = JSON.parse(process.argv[2] ?? '') as PeerClientOptions;
const { path, requestSerialize, responseDeserialize } = peerService.push;
const { ca, certificate, key } = readLeaf(options.tlsDir);
const client = new Client(options.server, credentials.createSsl(ca, key, certificate));

async function upload(): Promise<number> {
  const source = spawn('sh', ['-c', `exec cat '${options.imagePath}' > '${options.fifoPath}'`], { stdio: 'inherit' });
  const hash = createHash('sha256');
  const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
  const sealed = new Promise<string>((resolve, reject) => {
    call.on('data', ({ sha256 }) => {
      if (sha256.length > 0) resolve(Buffer.from(sha256).toString('hex'));
    });
    call.on('error', reject);
  });
  let offset = 0n;
  for await (const data of chunks(createReadStream(options.fifoPath))) {
    hash.update(data);
    if (!call.write(create(ChunkSchema, { offset, data }))) await once(call, 'drain');
    offset += BigInt(data.length);
  }
  call.end();
  if ((await sealed) !== hash.digest('hex')) throw new Error('what the server stored is not what was sent');
  if (source.exitCode === null) await once(source, 'exit');
  return Number(offset);
}

/** A FIFO gives 64 KiB at a time: they are gathered to chunks. */
async function* chunks(stream: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  let pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of stream) {
    pieces.push(piece);
    size += piece.length;
    if (size < options.chunkBytes) continue;
    yield Buffer.concat(pieces);
    [pieces, size] = [[], 0];
  }
  if (size > 0) yield Buffer.concat(pieces);
}

execFileSync('mkfifo', ['-m', '600', options.fifoPath]);
for await (const _ of createInterface({ input: process.stdin })) {
  const begin = performance.now();
  const bytes = await upload();
  process.stdout.write(`${JSON.stringify({ bytes, seconds: (performance.now() - begin) / 1000 })}\n`);
}
