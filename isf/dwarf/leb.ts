/** LEB128 numbers (DWARF 5, section 7.6). Reading beyond the end of the bytes gives an offset beyond the end. */

/** Offset after the number at an offset. */
export function afterLeb(bytes: Buffer, at: number): number {
  let next = at;
  while (next < bytes.length && (bytes[next] as number) >= 0x80) next += 1;
  return next + 1;
}

/** The number, rounded above 2^53. */
export function unsignedLeb(bytes: Buffer, at: number): number {
  let value = 0;
  let factor = 1;
  for (let next = at; next < bytes.length && factor < 2 ** 70; next++) {
    const byte = bytes[next] as number;
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) break;
    factor *= 128;
  }
  return value;
}

/** All bits of the number, sign-extended if it is a signed one, as a 64-bit signed integer. */
export function wideLeb(bytes: Buffer, at: number, signed: boolean): bigint {
  let value = 0n;
  let bits = 0n;
  for (let next = at; next < bytes.length && bits < 70n; next++) {
    const byte = bytes[next] as number;
    value |= BigInt(byte & 0x7f) << bits;
    bits += 7n;
    if (byte < 0x80) {
      if (signed && byte & 0x40) value -= 1n << bits;
      break;
    }
  }
  return BigInt.asIntN(64, value);
}
