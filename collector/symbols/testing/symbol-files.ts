/** Text of a small ISF of the kernel with this banner. */
export function makeIsf(banner: string, padding = 0): string {
  const symbols = {
    first: { type: { kind: 'base', name: 'int' }, address: 1 },
    linux_banner: {
      type: { kind: 'array', count: 0, subtype: { kind: 'base', name: 'char' } },
      address: 2,
      constant_data: Buffer.from(`${banner}\n\0`).toString('base64'),
    },
    last: { address: 3 },
  };
  const user_types = { task_struct: { size: 8, fields: { linux_banner: { offset: 0 } }, kind: 'struct' } };
  const metadata = { format: '6.2.0', padding: ' '.repeat(padding) };
  return JSON.stringify({ metadata, base_types: {}, user_types, enums: {}, symbols }, null, 2);
}

/** A 64-bit ELF file that has nothing but one note section, with this build-id. */
export function makeElf(buildId: string, noteName = 'GNU\0'): Buffer {
  const value = Buffer.from(buildId, 'hex');
  const note = Buffer.alloc(16 + value.length);
  note.writeUInt32LE(4, 0);
  note.writeUInt32LE(value.length, 4);
  note.writeUInt32LE(3, 8);
  note.write(noteName, 12, 'latin1');
  value.copy(note, 16);
  const header = Buffer.alloc(64);
  header.writeUInt32BE(0x7f454c46, 0);
  header.set([2, 1, 1], 4);
  header.writeBigUInt64LE(BigInt(64 + note.length), 40);
  header.writeUInt16LE(64, 58);
  header.writeUInt16LE(1, 60);
  const section = Buffer.alloc(64);
  section.writeUInt32LE(7, 4);
  section.writeBigUInt64LE(64n, 24);
  section.writeBigUInt64LE(BigInt(note.length), 32);
  return Buffer.concat([header, note, section]);
}
