import type { StoredObject } from './store.ts';

/** Where the bytes of a sealed capture are. Times are ISO 8601, UTC. */
export type StoragePlace =
  /** As they were acquired, in the capture's own directory; `trouble` says why the store has not got them, empty at first. */
  | { readonly kind: 'spool'; readonly trouble: string }
  /** At rest. An object whose file ends with .zst is packed in frames, any other is the plain image. */
  | { readonly kind: 'store'; readonly object: StoredObject }
  | { readonly kind: 'deleted'; readonly at: string; readonly by: string; readonly reason: string };

/** Keeps evidence from being deleted. */
export interface Hold {
  readonly at: string;
  readonly by: string;
  readonly reason: string;
}

/** What is on record of where a capture's image is. */
export interface StorageRecord {
  readonly captureId: string;
  readonly nodeName: string;
  /** Empty when a person asked for it. */
  readonly schedule: string;
  readonly sealedAt: string;
  readonly complete: boolean;
  /** Of the plain image. */
  readonly imageBytes: number;
  readonly place: StoragePlace;
  readonly holds: readonly Hold[];
  /** When the whole was last read and found to be what the manifest says. */
  readonly verifiedAt?: string;
  /** What the last verification found wrong; empty when it was well or there was none. */
  readonly flaw: string;
}
