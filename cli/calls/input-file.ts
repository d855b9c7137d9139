import { Fault } from '@kcorder/proto/fault.ts';
import { fileProblem } from '../connect/connection.ts';

/** What went wrong when a file that was named on the command line was read, as a fault that names it. */
export function unread(path: string, error: unknown): Fault {
  return new Fault('invalid_argument', `cannot read ${path}: ${fileProblem(error)}. Name a file that you may read.`, {
    cause: error,
  });
}
