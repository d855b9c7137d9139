// Why it is done this way: docs/decisions/021-one-store.md

import type { RangeSource } from './range-source.ts';

/** Which object: the capture it is of, an id that the collector made, and a file name. */
export interface ObjectName {
  readonly captureId: string;
  readonly file: string;
}

/** A finished local file that is to be kept. */
export interface FileToKeep {
  readonly path: string;
  readonly bytes: number;
  /** CRC-32C of the file, eight lower-case hex digits. */
  readonly crc32c: string;
  /** Stored beside the object where the store can; printable ASCII. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** An object as the store has it. */
export interface StoredObject extends ObjectName {
  /** An absolute path, or gs://BUCKET/NAME. */
  readonly location: string;
  readonly bytes: number;
  /** Eight lower-case hex digits. */
  readonly crc32c: string;
  /** Of the object; empty where the store has none. */
  readonly generation: string;
}

/**
 * Where sealed evidence lies at rest. What every store promises:
 *
 * - An object is there whole or not at all, and never changes. What `put` has resolved is durable, and its size and CRC-32C are by the store's own
 *   word those of the local file.
 * - `put` of what is there already is no error when it has the same bytes; with others it throws evidence_conflict, and what is there stays.
 * - The local file is read, never changed, moved or removed by a store.
 * - After any failure the same call can be made again, also by another process after a crash.
 * - No error, log line or object holds a credential or the address of an upload session.
 *
 * Faults: storage_failed for what may go better later (retry is true), store_refused for what somebody has to change (no such bucket, no right,
 * a key that cannot be used, a certificate), evidence_missing, evidence_conflict, evidence_retained. Each says which object and what to do.
 */
export interface EvidenceStore {
  readonly kind: 'local' | 'gcs';
  /** Where it is, for people: a directory, or gs://BUCKET/PREFIX. */
  readonly place: string;
  /** Where an object of this name lies or would lie. */
  locationOf(name: ObjectName): string;
  /** Throws storage_failed, store_refused, evidence_conflict, and the signal's reason. */
  put(name: ObjectName, file: FileToKeep, signal: AbortSignal): Promise<StoredObject>;
  /** Undefined when it is not there. Throws storage_failed, store_refused. */
  find(name: ObjectName): Promise<StoredObject | undefined>;
  /** Opens exactly the object that was stored: another generation under its name is evidence_missing. */
  open(object: StoredObject): Promise<RangeSource>;
  /** No error when it is not there. Throws evidence_retained with the time until which the store keeps it, storage_failed, store_refused. */
  delete(name: ObjectName): Promise<void>;
  /** Every object, in no order. */
  list(): AsyncIterable<ObjectName>;
  /** Tries all of this with objects of its own, step by step, and ends at once where going on makes no sense. Never throws. */
  check(signal: AbortSignal): AsyncIterable<CheckedStep>;
}

/** What a step of a check has shown. */
export interface CheckedStep {
  readonly step: string;
  readonly state: 'ok' | 'failed' | 'skipped';
  /** What was seen, and with a failure what to do. */
  readonly detail: string;
}
