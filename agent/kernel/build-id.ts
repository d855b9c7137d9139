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
