import { join } from 'node:path';

/** Files that a program may use, as absolute paths. A folder to read is for all that is in it; what it writes has to be there. */
export interface ProgramFiles {
  readonly read: readonly string[];
  readonly write: readonly string[];
}

/** Makes a command line into one that starts the same program with these files and no others. */
export type Confine = (files: ProgramFiles, argv: readonly string[]) => readonly string[];

const launcher = join(import.meta.dirname, '..', 'analysis', 'volatility', 'launch.py');

/** By Landlock and seccomp, as far as this machine's kernel has them: no other file, program, process or socket. Needs Python. */
export function confineBy(python: string): Confine {
  return (files, argv) => [python, '-B', '-S', '-E', launcher, JSON.stringify(files), ...argv];
}
