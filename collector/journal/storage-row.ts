import type { DatabaseSync } from 'node:sqlite';
import type { CaptureState } from '../capture/capture.ts';
import type { Hold, RetentionRecord, SealedImage, StoragePlace, StorageRecord } from '../store/storage-record.ts';
import { decode } from './encode.ts';

type Row = Record<string, unknown>;

/** Rows that `toSealed` takes. */
export const sealedRows = 'SELECT storage.*, captures.state FROM storage JOIN captures ON id = capture_id';

/** How many holds a capture can have. */
export const mostHolds = 16;

/** The oldest 16 holds of a capture, oldest first. A database of an earlier version can have more. */
export function holdsOf(database: DatabaseSync, captureId: string): Hold[] {
  const rows = database
    .prepare(`SELECT at, by, reason FROM holds WHERE capture_id = ? ORDER BY rowid LIMIT ${mostHolds}`)
    .all(captureId);
  return rows.map(({ at, by, reason }) => ({ at: String(at), by: String(by), reason: String(reason) }));
}

/** A row of the table storage as a record. Its columns `flaw` and `trouble` keep their names: checks and an index go by them. */
export function toRecord(row: Row, holds: readonly Hold[]): StorageRecord {
  return {
    captureId: String(row.capture_id),
    nodeName: String(row.node_name),
    schedule: String(row.schedule),
    sealedAt: String(row.sealed_at),
    complete: row.complete === 1,
    imageBytes: Number(row.image_bytes),
    place: placeOf(row),
    holds,
    ...(row.verified_at === '' ? {} : { verifiedAt: String(row.verified_at) }),
    damage: String(row.flaw),
    manifestSha256: String(row.manifest_sha256),
  };
}

function placeOf(row: Row): StoragePlace {
  switch (row.place) {
    case 'spool':
      return { kind: 'spool', lastError: String(row.trouble) };
    case 'store':
      return {
        kind: 'store',
        object: {
          captureId: String(row.capture_id),
          file: String(row.file),
          location: String(row.location),
          bytes: Number(row.stored_bytes),
          crc32c: String(row.crc32c),
          generation: String(row.generation),
        },
      };
    default:
      return {
        kind: 'deleted',
        at: String(row.deleted_at),
        by: String(row.deleted_by),
        reason: String(row.delete_reason),
        left: row.place === 'deleted' ? '' : String(row.trouble) || 'being removed',
      };
  }
}

/** A row of storage joined with its capture's state; undefined when that has no evidence, which no row of storage is without. */
export function toSealed(row: Row, holds: readonly Hold[]): SealedImage | undefined {
  const state = decode<CaptureState>(String(row.state));
  if (!('evidence' in state) || state.evidence === undefined) return undefined;
  return { record: toRecord(row, holds), evidence: state.evidence, outcome: state.outcome };
}

export function toRetained(row: Row): RetentionRecord {
  return {
    captureId: String(row.capture_id),
    nodeName: String(row.node_name),
    schedule: String(row.schedule),
    sealedAt: String(row.sealed_at),
    complete: row.complete === 1,
    sequence: Number(row.sequence),
    requestedAt: String(row.requested_at),
    deletable: row.deletable === 1,
  };
}
