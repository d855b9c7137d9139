import { elfNotes } from './elf-notes.ts';

/** Reads up to `length` bytes at a position of a file; fewer at its end. Positions of kcore exceed 2^53. */
export type ReadAt = (position: bigint, length: number) => Buffer;

/** Whether a file starts as a 64-bit little-endian ELF file. */
export function isElf64(start: Buffer): boolean {
  return start.length >= 6 && start.readUInt32BE(0) === 0x7f454c46 && start[4] === 2 && start[5] === 1;
}

const headerBytes = 64;
const programHeaderBytes = 56;
const noteSegment = 4;
/** A kernel has one segment per memory range: far fewer. */
const programHeaderLimit = 4096;
/** The notes of kcore are some 10 KiB. */
const noteLimitBytes = 1 << 20;

/**
 * Text of the VMCOREINFO note in the note segments of a 64-bit ELF core (linux/fs/proc/kcore.c); empty when there is none. Other notes
 * of kcore, registers and a task among them, are never kept.
 */
export function readVmcoreinfo(readAt: ReadAt): string {
  const header = readAt(0n, headerBytes);
  if (header.length < headerBytes || !isElf64(header)) return '';
  const tableAt = header.readBigUInt64LE(32);
  const entryBytes = header.readUInt16LE(54);
  const count = Math.min(header.readUInt16LE(56), programHeaderLimit);
  if (entryBytes !== programHeaderBytes || tableAt > BigInt(noteLimitBytes)) return '';
  const table = readAt(tableAt, count * programHeaderBytes);
  for (let at = 0; at + programHeaderBytes <= table.length; at += programHeaderBytes) {
    if (table.readUInt32LE(at) !== noteSegment) continue;
    const offset = table.readBigUInt64LE(at + 8);
    const size = table.readBigUInt64LE(at + 32);
    if (size > BigInt(noteLimitBytes) || offset >= 1n << 63n) continue;
    for (const note of elfNotes(readAt(offset, Number(size)))) {
      if (note.name === 'VMCOREINFO') return note.descriptor.toString('utf8').replace(/\0+$/, '');
    }
  }
  return '';
}
