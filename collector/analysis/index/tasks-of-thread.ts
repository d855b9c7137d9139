import type { FaultCode } from '@kcorder/proto/fault.ts';
import type { RowPage, RowQuery } from './query.ts';

/** What the thread is asked to do. */
export type ThreadTask =
  /** Make the file anew, unless it is that of the report. */
  | (TaskFile & { readonly kind: 'build' })
  | (TaskFile & { readonly kind: 'page'; readonly query: RowQuery; readonly wallMs: number });

/** Which file of results it is about. */
interface TaskFile {
  readonly outputDir: string;
  readonly path: string;
  readonly unmask: boolean;
}

/** What came of it. `stale`: there is no file, or none of the report. */
export type ThreadAnswer =
  | { readonly kind: 'built' }
  | { readonly kind: 'page'; readonly page: RowPage }
  | { readonly kind: 'stale' }
  | { readonly kind: 'fault'; readonly code: FaultCode; readonly message: string; readonly causes: readonly string[] };

/** What the thread is told when it starts: 1 in its first place ends the task that runs. */
export interface ThreadData {
  readonly stop: Int32Array;
}
