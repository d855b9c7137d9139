/* Frames of HTTP/2 (RFC 9113, section 4.1) by hand: what no client sends, or not in this order. */

export const frameTypes = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6 } as const;

/** Returns one frame, its head of nine bytes and its payload. */
export function frame(type: keyof typeof frameTypes, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(frameTypes[type], 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Returns a HEADERS frame that is whole, its fields as literals that no table keeps (RFC 7541, section 6.2.2). */
export function headersFrame(stream: number, fields: readonly (readonly [name: string, value: string])[]): Buffer {
  const endHeaders = 4;
  const literals = fields.flatMap(([name, value]) => [
    Buffer.from([0, name.length]),
    Buffer.from(name),
    Buffer.from([value.length]),
    Buffer.from(value),
  ]);
  return frame('headers', endHeaders, stream, Buffer.concat(literals));
}

/** What a client says first: the preface and empty settings. */
export const preface = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  frame('settings', 0, 0, Buffer.alloc(0)),
]);
