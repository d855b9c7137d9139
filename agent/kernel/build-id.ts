import { elfNotes } from './elf-notes.ts';

const gnuBuildIdType = 3;

/** GNU build-id in /sys/kernel/notes as lower-case hex; empty when the kernel was linked without one. */
export function parseBuildId(kernelNotes: Buffer): string {
  for (const note of elfNotes(kernelNotes)) {
    if (note.name === 'GNU' && note.type === gnuBuildIdType && note.descriptor.length > 0) {
      return note.descriptor.toString('hex');
    }
  }
  return '';
}

/** The same as VMCOREINFO has it (Linux 5.9 and later); empty when it has none. */
export function buildIdOfVmcoreinfo(vmcoreinfo: string): string {
  return /^BUILD-ID=((?:[0-9a-f]{2}){1,64})$/m.exec(vmcoreinfo)?.[1] ?? '';
}
