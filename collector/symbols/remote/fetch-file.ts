import { withDraft, writeAt } from './draft.ts';
import type { FetchEnd, OnProgress } from './fetch-end.ts';
import { download } from './http.ts';
import { defaultTimeouts, type Timeouts, withinWall } from './timeouts.ts';

/** A file to fetch whole. */
export interface FileRequest {
  readonly url: URL;
  /** Must not exist yet. */
  readonly path: string;
  /** Largest file taken. */
  readonly limitBytes: number;
  readonly timeouts?: Timeouts;
  readonly onProgress?: OnProgress;
}

/**
 * Fetches a file as it is, without judging its content; never ends as `mismatch`. A cut transfer goes on where it stopped. Throws the signal's
 * reason and errors of the file system other than a full disk, which ends as `failed`.
 */
export async function fetchFile(request: FileRequest, signal: AbortSignal): Promise<FetchEnd> {
  const { url, limitBytes, timeouts = defaultTimeouts, onProgress } = request;
  return withinWall(timeouts.wallMs, signal, (bounded) =>
    withDraft<FetchEnd>(request.path, async (draft) => {
      const take = (offsetBytes: number, bytes: Buffer, declaredBytes: number | undefined) => {
        writeAt(draft, offsetBytes, bytes);
        onProgress?.(offsetBytes + bytes.length, declaredBytes ?? 0);
      };
      const end = await download({ url, limitBytes }, take, timeouts, bounded);
      if (end.kind === 'changed') return { kind: 'failed', reason: end.reason, transient: true };
      if (end.kind !== 'ok') return end;
      const { sizeBytes = 0 } = end.version;
      // An earlier try may have brought more than the object has now.
      await draft.truncate(sizeBytes);
      return { kind: 'fetched', bytesRead: end.bytesRead, sizeBytes };
    }),
  );
}
