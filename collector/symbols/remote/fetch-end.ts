import type { Failed } from './timeouts.ts';

/** How the fetching of a file ended. Only after `fetched` is there a file. */
export type FetchEnd =
  /** `bytesRead` came over the network, `sizeBytes` is the size of the local file. */
  | { readonly kind: 'fetched'; readonly bytesRead: number; readonly sizeBytes: number }
  /** 404 or 410. */
  | { readonly kind: 'absent'; readonly status: number }
  /** 401 or 403. */
  | { readonly kind: 'forbidden'; readonly status: number }
  /** A file of another build-id, lower-case hex. */
  | { readonly kind: 'mismatch'; readonly buildId: string }
  /** A file that is not wanted; `problem` is a clause about it. */
  | { readonly kind: 'rejected'; readonly problem: string }
  | Failed;

/** Bytes of a file so far and in all; 0 in all while unknown. May go back when a file has to be begun anew. */
export type OnProgress = (doneBytes: number, totalBytes: number) => void;
