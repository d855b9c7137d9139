import { randomBytes } from 'node:crypto';

/** An ELF file as a kernel's with debugging information is laid out, and where its sections lie. */
export interface DebugElf {
  readonly bytes: Buffer;
  readonly sections: ReadonlyMap<string, { readonly offsetBytes: number; readonly lengthBytes: number }>;
}

const sectionTypes: Readonly<Record<string, number>> = { '.notes': 7, '.symtab': 2, '.strtab': 3, '.shstrtab': 3 };

/** A linked 64-bit ELF file of about four times `unitBytes`, of which half is of no use for symbols. Its content is random. */
export function makeDebugElf(buildId: string, unitBytes = 256 << 10): DebugElf {
  const names = [
    '',
    '.text',
    '.notes',
    '.rela.debug_info',
    '.debug_info',
    '.debug_str',
    '.symtab',
    '.strtab',
    '.shstrtab',
  ];
  const nameTable = Buffer.from(`${names.join('\0')}\0`, 'latin1');
  const contents = new Map<string, Buffer>([
    ['.text', randomBytes(unitBytes)],
    ['.notes', note(buildId)],
    ['.rela.debug_info', randomBytes(unitBytes)],
    ['.debug_info', randomBytes(unitBytes)],
    ['.debug_str', randomBytes(unitBytes / 2)],
    ['.symtab', randomBytes(240)],
    ['.strtab', randomBytes(unitBytes / 4)],
    ['.shstrtab', nameTable],
  ]);
  const sections = new Map<string, { offsetBytes: number; lengthBytes: number }>();
  const header = Buffer.alloc(64);
  const table = Buffer.alloc(64 * names.length);
  let atBytes = header.length;
  for (const [index, name] of names.entries()) {
    const content = contents.get(name);
    if (content === undefined) continue;
    const at = index * 64;
    table.writeUInt32LE(
      names.slice(0, index).reduce((sum, each) => sum + each.length + 1, 0),
      at,
    );
    table.writeUInt32LE(sectionTypes[name] ?? 1, at + 4);
    table.writeBigUInt64LE(BigInt(atBytes), at + 24);
    table.writeBigUInt64LE(BigInt(content.length), at + 32);
    if (name === '.symtab') table.writeUInt32LE(names.indexOf('.strtab'), at + 40);
    sections.set(name, { offsetBytes: atBytes, lengthBytes: content.length });
    atBytes += content.length;
  }
  header.writeUInt32BE(0x7f454c46, 0);
  header.set([2, 1, 1], 4);
  header.writeUInt16LE(2, 16);
  header.writeUInt16LE(62, 18);
  header.writeBigUInt64LE(BigInt(atBytes), 40);
  header.writeUInt16LE(64, 52);
  header.writeUInt16LE(64, 58);
  header.writeUInt16LE(names.length, 60);
  header.writeUInt16LE(names.length - 1, 62);
  return { bytes: Buffer.concat([header, ...contents.values(), table]), sections };
}

function note(buildId: string): Buffer {
  const value = Buffer.from(buildId, 'hex');
  const head = Buffer.alloc(16);
  head.writeUInt32LE(4, 0);
  head.writeUInt32LE(value.length, 4);
  head.writeUInt32LE(3, 8);
  head.write('GNU\0', 12, 'latin1');
  return Buffer.concat([head, value]);
}
