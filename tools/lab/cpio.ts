/** One entry of an initrd: a folder, a file with its bytes, or a symbolic link with its target. */
export interface CpioEntry {
  path: string;
  kind: 'folder' | 'file' | 'link';
  content?: Uint8Array;
  executable?: boolean;
}

const modes = { folder: 0o040755, file: 0o100644, link: 0o120777 };

/** A cpio archive in the "newc" form that the kernel unpacks as its initrd; parent folders must come before their contents. */
export function cpio(entries: CpioEntry[]): Buffer {
  const parts: Buffer[] = [];
  for (const [index, entry] of entries.entries()) {
    const mode = modes[entry.kind] | (entry.executable ? 0o111 : 0);
    parts.push(...record(index + 1, entry.path, mode, entry.content ?? new Uint8Array()));
  }
  parts.push(...record(0, 'TRAILER!!!', 0, new Uint8Array()));
  return Buffer.concat(parts);
}

function record(inode: number, path: string, mode: number, content: Uint8Array): Buffer[] {
  const name = Buffer.from(`${path}\0`);
  // inode, mode, uid, gid, links, mtime, size, four device numbers, size of the name, checksum (unused)
  const numbers = [inode, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length, 0];
  const header = Buffer.from(`070701${numbers.map((value) => value.toString(16).padStart(8, '0')).join('')}`);
  return [header, name, padding(header.length + name.length), Buffer.from(content), padding(content.length)];
}

function padding(length: number): Buffer {
  return Buffer.alloc((4 - (length % 4)) % 4);
}
