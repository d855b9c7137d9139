import { fromBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { UploadRequestSchema } from '../gen/kcorder/v1/ingest_pb.ts';
import { chunkHeadroomBytes, encodeChunk } from './chunk.ts';

test('what is encoded by hand is what the generated decoder reads', () => {
  const offset = fc.oneof(fc.nat(), fc.maxSafeNat(), fc.constantFrom(0, 127, 128, 2 ** 32, Number.MAX_SAFE_INTEGER));
  const crc32 = fc.oneof(fc.integer({ min: 0, max: 0xffff_ffff }), fc.constantFrom(0, 0xffff_ffff));
  const data = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.constantFrom(1 << 18, 1 << 20).map((length) => new Uint8Array(length).fill(7)),
  );
  fc.assert(
    fc.property(offset, crc32, data, (offsetBytes, checksum, content) => {
      const place = Buffer.concat([Buffer.alloc(chunkHeadroomBytes, 0xff), content]);
      const { message } = fromBinary(UploadRequestSchema, encodeChunk(offsetBytes, checksum, place).bytes);
      expect(message).toMatchObject({ case: 'chunk', value: { offset: BigInt(offsetBytes), crc32: checksum } });
      expect(message.case === 'chunk' && Buffer.compare(message.value.data, content)).toBe(0);
    }),
    { numRuns: 300 },
  );
});
