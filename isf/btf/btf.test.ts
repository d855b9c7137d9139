import { expect, test } from 'vitest';
import { BtfWriter } from '../testing/btf-writer.ts';
import { Btf } from './btf.ts';
import { kind, tailBytes } from './kinds.ts';

/** The layout that encoders write for the kinds that are known here. */
const known = tailBytes.map(({ fixed, each }) => [fixed, each] as const);
const location = 20;

/** A struct, something of a newer kind with two items, and an integer behind it. */
function withNewerKind(found = location): BtfWriter {
  const btf = new BtfWriter();
  btf.struct('first', 8, []);
  btf.add('', found, 2, 8, [1, 2, 3]);
  btf.int('last', 4);
  return btf;
}

function withInfo(change: (info: number) => number, found: number = kind.pointer): Buffer {
  const btf = new BtfWriter();
  btf.add('', found, 0, 0, found === kind.int ? [32] : []);
  const bytes = btf.bytes();
  bytes.writeUInt32LE(change(bytes.readUInt32LE(28)) >>> 0, 28);
  return bytes;
}

const refused = (kindOfProblem: string, message: RegExp) =>
  expect.objectContaining({ name: 'BadInput', kind: kindOfProblem, message: expect.stringMatching(message) });

test('a kind that only the layout section describes is stepped over, and what follows is read', () => {
  const btf = new Btf(withNewerKind().bytes([...known, [4, 4]]));
  expect([btf.count, btf.kind(2), btf.itemCount(2), btf.name(3)]).toEqual([4, location, 2, 'last']);
});

test("a module's types are stepped over by the kernel's layout", () => {
  const kernel = withNewerKind();
  const module = new BtfWriter(kernel.nextId, kernel.stringsEnd);
  module.add('', location, 1, 8, [1, 2]);
  module.struct('own', 8, []);
  const btf = new Btf(module.bytes(), 'BTF of ext4', new Btf(kernel.bytes([...known, [4, 4]])));
  expect([btf.kind(4), btf.name(5)]).toEqual([location, 'own']);
});

test('more than 65,535 members, which only the wider head of 2026 can count', () => {
  const btf = new BtfWriter();
  const int = btf.int('int', 4);
  const members = Array.from({ length: 70_000 }, (_, index) => ({ name: 'm', type: int, offsetBits: index }));
  const large = btf.struct('large', 8, members);
  btf.int('behind', 4);
  const read = new Btf(btf.bytes());
  expect([read.itemCount(large), read.name(large + 1)]).toEqual([70_000, 'behind']);
});

test.each<[string, Buffer, RegExp]>([
  ['a newer kind without a layout section', withNewerKind().bytes(), /kind 20 of type/],
  ['a newer kind that the layout section leaves out', withNewerKind().bytes(known), /kind 20 of type/],
  ['a newer kind whose layout has flags', withNewerKind().bytes([...known, [4, 4, 1]]), /kind 20 of type/],
  ['a kind whose lower bits are those of an integer', withNewerKind(0x20 | kind.int).bytes(), /kind 33 of type/],
  ['a kind whose lower bits are those of a struct', withNewerKind(0x40 | kind.struct).bytes(), /kind 68 of type/],
  ['a pointer with items', withInfo((info) => info | 1), /kind 2 has bits/],
  ['a pointer with items above 16 bits', withInfo((info) => info | 0x1_0000), /kind 2 has bits/],
  ['a pointer with a flag', withInfo((info) => info | 0x8000_0000), /kind 2 has bits/],
  ['an integer with a flag', withInfo((info) => info | 0x8000_0000, kind.int), /kind 1 has bits/],
])('%s: refused as not known', (_, bytes, message) => {
  expect(() => new Btf(bytes)).toThrow(refused('unsupported', message));
  expect(() => new Btf(bytes)).toThrow(/give a vmlinux or an ISF/);
});

test.each([
  ['a tag of a type', kind.typeTag],
  ['a declaration of a union', kind.forward],
])('%s has a flag', (_, found) => {
  const btf = new Btf(withInfo((info) => info | 0x8000_0000, found));
  expect([btf.kind(1), btf.flag(1)]).toEqual([found, true]);
});

function withHeader(lengthBytes: number, change: (header: Buffer) => void = () => undefined): Buffer {
  const btf = new BtfWriter();
  btf.struct('only', 8, []);
  const whole = btf.bytes();
  const header = Buffer.alloc(lengthBytes);
  whole.copy(header, 0, 0, 24);
  header.writeUInt32LE(lengthBytes, 4);
  change(header);
  return Buffer.concat([header, whole.subarray(24)]);
}

test.each<[string, Buffer]>([
  ['of 28 bytes', withHeader(28)],
  ['with an empty layout', withHeader(32)],
  ['with room for what is to come', withHeader(48)],
])('a header %s is read', (_, bytes) => {
  expect(new Btf(bytes).name(1)).toBe('only');
});

test.each<[string, Buffer, string, RegExp]>([
  ['flags', withHeader(24, (header) => header.writeUInt8(1, 3)), 'unsupported', /at 0x3: flags 0x1/],
  [
    'fields that nobody knows',
    withHeader(40, (header) => header.writeUInt8(1, 36)),
    'unsupported',
    /at 0x20: .*fields/,
  ],
  ['no length', withHeader(24, (header) => header.writeUInt32LE(0, 4)), 'damaged', /at 0x4: a header of 0 bytes/],
  ['more length than the file', withHeader(24, (header) => header.writeUInt32LE(2 ** 31, 4)), 'damaged', /at 0x4/],
  [
    'a layout beyond the end',
    withHeader(32, (header) => header.writeUInt32LE(2 ** 30, 28)),
    'damaged',
    /at 0x18: .*kinds/,
  ],
  [
    'a layout that knows integers to be shorter',
    withNewerKind().bytes([...known.with(kind.int, [0, 0]), [4, 4]]),
    'damaged',
    /kind 1 are said/,
  ],
  ['a layout of odd sizes', withNewerKind().bytes([...known, [3, 4]]), 'damaged', /kind 20 end between/],
])('a header with %s is refused', (_, bytes, kindOfProblem, message) => {
  expect(() => new Btf(bytes)).toThrow(refused(kindOfProblem, message));
});
