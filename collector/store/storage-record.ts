import { Fault } from '@kcorder/proto/fault.ts';
import type { Evidence, Outcome } from '../capture/capture.ts';
import type { StoredObject } from './store.ts';

/** Where the bytes of a sealed capture are. Times are ISO 8601, UTC. */
export type StoragePlace =
  /** As they were acquired, in the capture's own directory; `lastError` says why the store has not got them, empty at first. */
  | { readonly kind: 'spool'; readonly lastError: string }
  /** At rest. An object whose file ends with .zst is packed in frames, any other is the plain image. */
  | { readonly kind: 'store'; readonly object: StoredObject }
  /** Deleted for good; `left` says what is still to be removed and why, empty when nothing is. */
  | {
      readonly kind: 'deleted';
      readonly at: string;
      readonly by: string;
      readonly reason: string;
      readonly left: string;
    };

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
  /** The schedule whose retention covers it. Empty when a person asked for it, also by triggering a schedule. */
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
  readonly damage: string;
  /** Of the manifest as it was stored; empty before, lower-case hex. */
  readonly manifestSha256: string;
}

/** A sealed image: what is known of its bytes, and where they are. */
export interface SealedImage {
  readonly record: StorageRecord;
  readonly evidence: Evidence;
  readonly outcome: Outcome;
}

/** What retention goes by. */
export interface RetentionRecord {
  readonly captureId: string;
  readonly nodeName: string;
  /** See StorageRecord. */
  readonly schedule: string;
  /** The order in which images were sealed, whatever the clock said then. */
  readonly sequence: number;
  /** ISO 8601, UTC. */
  readonly requestedAt: string;
  /** ISO 8601, UTC. */
  readonly sealedAt: string;
  readonly complete: boolean;
  /** False on hold, and while the capture is not done. */
  readonly deletable: boolean;
}

/** What is thrown where deleted evidence is asked for. */
export function evidenceDeleted(captureId: string, tombstone: StoragePlace & { kind: 'deleted' }): Fault {
  const { at, by, reason } = tombstone;
  return new Fault(
    'evidence_deleted',
    `the evidence of capture ${captureId} was deleted by ${by} at ${at} (${reason}): only its record is left`,
  );
}
