import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Crc32c } from './crc32c.ts';

const ascending = Uint8Array.from({ length: 32 }, (_, i) => i);

test.each([
  ['nothing', new Uint8Array(), '00000000'],
  ['the check value of the catalogue of CRCs', Buffer.from('123456789'), 'e3069283'],
  ['32 zeros, of RFC 3720 B.4', Buffer.alloc(32), '8a9136aa'],
  ['32 ones, of RFC 3720 B.4', Buffer.alloc(32, 0xff), '62a8ab43'],
  ['32 ascending bytes, of RFC 3720 B.4', ascending, '46dd794e'],
  ['32 descending bytes, of RFC 3720 B.4', ascending.toReversed(), '113fdb5c'],
])('%s', (_, data, sum) => {
  expect(new Crc32c().update(data).digest()).toBe(sum);
});

/** The definition, bit by bit. */
function slowSum(data: Uint8Array): string {
  let sum = 0xffffffff;
  for (const byte of data) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0x82f63b78 : sum >>> 1;
  }
  return (~sum >>> 0).toString(16).padStart(8, '0');
}

test('any bytes in any parts at any address have the sum of the definition', () => {
  const part = fc.tuple(fc.uint8Array({ maxLength: 200 }), fc.nat(7));
  fc.assert(
    fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
      const crc = new Crc32c();
      for (const [bytes, shift] of parts) {
        const buffer = new Uint8Array(bytes.length + shift);
        buffer.set(bytes, shift);
        crc.update(buffer.subarray(shift));
      }
      expect(crc.digest()).toBe(slowSum(Buffer.concat(parts.map(([bytes]) => bytes))));
    }),
  );
});

test('the sum can be asked for on the way', () => {
  const crc = new Crc32c().update(Buffer.from('1234'));
  expect(crc.digest()).toBe(slowSum(Buffer.from('1234')));
  expect(crc.update(Buffer.from('56789')).digest()).toBe('e3069283');
});
