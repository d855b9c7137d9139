import { create, type DescMessage, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AttachRequestSchema } from '../gen/kcorder/v1/agent_pb.ts';
import { UploadRequestSchema } from '../gen/kcorder/v1/ingest_pb.ts';
import { CreateCaptureRequestSchema, GetAnalysisRequestSchema } from '../gen/kcorder/v1/operator_pb.ts';
import { PinSymbolsRequestSchema } from '../gen/kcorder/v1/symbols_pb.ts';
import { decodeBounded } from './decode.ts';

type Hello = Extract<NonNullable<MessageInitShape<typeof AttachRequestSchema>['message']>, { case: 'hello' }>['value'];

const wireOf = <S extends DescMessage>(schema: S, message: MessageInitShape<S>) =>
  toBinary(schema, create(schema, message));
const helloOf = (kernel: NonNullable<Hello['kernel']>) =>
  wireOf(AttachRequestSchema, { message: { case: 'hello', value: { kernel } } });
const takeHello = (wire: Uint8Array) => () => decodeBounded(AttachRequestSchema, wire);
const varint = (value: number): number[] => (value < 128 ? [value] : [(value % 128) | 128, ...varint(value >>> 7)]);
/** A field of bytes, which may be a message. */
const field = (number: number, ...content: readonly Uint8Array[]) => {
  const inner = Buffer.concat(content);
  return Buffer.concat([Buffer.from(varint((number << 3) | 2)), Buffer.from(varint(inner.length)), inner]);
};

test('half a million empty ranges in a megabyte are refused before any of them is made', () => {
  const ranges = Buffer.alloc(1_000_000);
  for (let at = 0; at < ranges.length; at += 2) ranges[at] = (10 << 3) | 2;
  const wire = field(1, field(3, ranges));
  const before = process.memoryUsage();
  expect(takeHello(wire)).toThrow(
    'kcorder.v1.KernelDescriptor.ram_ranges has 1025 entries or more: at most 1024 are taken',
  );
  const grownBytes = process.memoryUsage().heapUsed - before.heapUsed;
  expect(grownBytes).toBeLessThan(8 << 20);
});

test('the entries of a message that comes in two parts are not merged past their bound', () => {
  const ranges = Buffer.concat(Array.from({ length: 800 }, () => field(10)));
  expect(takeHello(field(1, field(3, ranges), field(3, ranges)))).toThrow('kcorder.v1.Hello.kernel is there twice');
});

test.each([
  {
    sentence: 'ends before it starts',
    ranges: [{ start: 2n ** 45n, end: 0n }],
    says: 'ram_ranges[0] is 0x200000000000 to 0x0: a range ends after its start',
  },
  { sentence: 'has one byte', ranges: [{ start: 5n, end: 5n }], says: 'a range ends after its start' },
  {
    sentence: 'shares a byte with the one before',
    ranges: [
      { start: 0n, end: 0xfffn },
      { start: 0xfffn, end: 0x1fffn },
    ],
    says: 'ram_ranges[1] is 0xfff to 0x1fff, the one before ends at 0xfff: they ascend and share no byte',
  },
  {
    sentence: 'lies before the one before',
    ranges: [
      { start: 0x2000n, end: 0x3000n },
      { start: 0n, end: 0x1000n },
    ],
    says: 'they ascend and share no byte',
  },
  {
    sentence: 'is beyond what a processor addresses',
    ranges: [{ start: 0n, end: 2n ** 52n }],
    says: 'kcorder.v1.RamRange.end is 4503599627370496: 0 to 4503599627370495 are taken',
  },
])('a range of memory that $sentence is refused', ({ ranges, says }) => {
  expect(takeHello(helloOf({ ramRanges: ranges }))).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  expect(takeHello(helloOf({ ramRanges: ranges }))).toThrow(says);
});

test('what is within its bounds to the last byte is taken', () => {
  const ramRanges = Array.from({ length: 1_024 }, (_, index) => ({
    start: BigInt(index) << 42n,
    end: (BigInt(index + 1) << 42n) - 1n,
  }));
  const kernel = { vmcoreinfo: 'x'.repeat(64 << 10), banner: 'ü'.repeat(2_048), ramRanges };
  const { message } = decodeBounded(AttachRequestSchema, helloOf(kernel));
  expect(message).toMatchObject({ case: 'hello', value: { kernel } });
});

test.each([
  {
    sentence: 'a text that is one byte too long',
    wire: helloOf({ vmcoreinfo: 'x'.repeat((64 << 10) + 1) }),
    says: 'kcorder.v1.KernelDescriptor.vmcoreinfo has 65537 bytes: at most 65536 are taken',
  },
  {
    sentence: 'a text of few characters and many bytes',
    wire: helloOf({ banner: 'ü'.repeat(2_049) }),
    says: 'kcorder.v1.KernelDescriptor.banner has 4098 bytes: at most 4096 are taken',
  },
  { sentence: 'text that is no UTF-8', wire: field(1, field(1, Buffer.of(0xff))), says: 'it is damaged' },
  { sentence: 'a message that ends within a field', wire: Buffer.of(0x0a, 0x05, 0x01), says: 'ends within a field' },
  { sentence: 'a length of 2^60', wire: Buffer.of(0x0a, ...Array(8).fill(0x80), 0x10), says: 'ends within a field' },
  { sentence: 'a number without an end', wire: Buffer.alloc(12, 0xff), says: 'a number has more than 10 bytes' },
  { sentence: 'a group', wire: Buffer.of((9 << 3) | 3, (9 << 3) | 4), says: 'it holds a group' },
  { sentence: 'a field of another type', wire: Buffer.of(1 << 3, 1), says: 'is of another type' },
  {
    sentence: 'a time that no calendar has',
    wire: wireOf(AttachRequestSchema, {
      message: { case: 'heartbeat', value: { agentClock: { seconds: 2n ** 62n, nanos: 0 } } },
    }),
    says: 'google.protobuf.Timestamp.seconds is 4611686018427387904: -62135596800 to 253402300799 are taken',
  },
  {
    sentence: 'a reason whose number means nothing to anybody',
    wire: wireOf(AttachRequestSchema, {
      message: { case: 'answer', value: { captureId: 'c', refusals: [{ reason: -1 as never, message: '' }] } },
    }),
    says: 'kcorder.v1.PreflightRefusal.reason is -1: 0 to 999 are taken',
  },
])('$sentence is refused with its place and its bound', ({ wire, says }) => {
  expect(takeHello(wire)).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  expect(takeHello(wire)).toThrow(says);
});

test('half a million fields that this program does not know are refused at the first few', () => {
  const unknown = Buffer.alloc(1_000_000);
  for (let at = 0; at < unknown.length; at += 2) unknown[at] = 15 << 3;
  expect(takeHello(unknown)).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  expect(takeHello(unknown)).toThrow(
    'kcorder.v1.AttachRequest has more than 64 fields that this program does not know',
  );
});

test('what this program does not know is dropped', () => {
  const unknown = Buffer.concat([field(15, Buffer.alloc(100_000)), Buffer.of(14 << 3, 0xff, 0xff, 1)]);
  const known = wireOf(PinSymbolsRequestSchema, { key: 'k', pinned: true });
  const message = decodeBounded(PinSymbolsRequestSchema, Buffer.concat([unknown, known]));
  expect(message).toMatchObject({ key: 'k', pinned: true });
  expect(message.$unknown).toBeUndefined();
});

test('a flag that is no bit is refused', () => {
  expect(() => decodeBounded(PinSymbolsRequestSchema, Buffer.of(2 << 3, 2))).toThrow('pinned is 2: 0 to 1 are taken');
});

test('whatever the wire holds, it is refused with a fault or is what the generated decoder reads', () => {
  const schemas = [AttachRequestSchema, UploadRequestSchema, CreateCaptureRequestSchema, GetAnalysisRequestSchema];
  const wires = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.tuple(fc.integer({ min: 1, max: 9 }), fc.uint8Array({ maxLength: 40 })).map(([no, inner]) => field(no, inner)),
    fc
      .record({ nodeName: fc.string(), reason: fc.string(), idempotencyKey: fc.string() })
      .map((message) => wireOf(CreateCaptureRequestSchema, message)),
  );
  fc.assert(
    fc.property(fc.constantFrom(...schemas), wires, (schema: DescMessage, wire) => {
      let decoded: unknown;
      try {
        decoded = decodeBounded(schema, wire);
      } catch (error) {
        expect(error).toMatchObject({ code: 'invalid_argument' });
        return;
      }
      expect(decoded).toEqual(fromBinary(schema, wire, { readUnknownFields: false }));
    }),
    { numRuns: 3_000 },
  );
});
