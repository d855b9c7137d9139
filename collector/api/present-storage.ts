import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { StoragePlace, type StorageSchema } from '@kcorder/proto/gen/kcorder/v1/evidence_pb.ts';
import type { StorageRecord } from '../store/storage-record.ts';

/** Where an image is, as operators see it. `spoolPath` is where it lies as it was acquired. */
export function presentStorage(record: StorageRecord, spoolPath: string): MessageInitShape<typeof StorageSchema> {
  const { holds, verifiedAt, damage } = record;
  return {
    ...placeOf(record, spoolPath),
    holds: holds.map(({ at, by, reason }) => ({ at: time(at), by, reason })),
    ...(verifiedAt === undefined ? {} : { verifiedAt: time(verifiedAt) }),
    damage,
  };
}

function placeOf({ place, imageBytes }: StorageRecord, spoolPath: string) {
  switch (place.kind) {
    case 'spool':
      return {
        place: StoragePlace.SPOOL,
        location: spoolPath,
        storedBytes: BigInt(imageBytes),
        lastError: place.lastError,
      };
    case 'store': {
      const { location, bytes, crc32c, generation } = place.object;
      return { place: StoragePlace.STORE, location, storedBytes: BigInt(bytes), crc32c, generation };
    }
    case 'deleted': {
      const { at, by, reason, left } = place;
      return { place: StoragePlace.DELETED, lastError: left, tombstone: { at: time(at), by, reason } };
    }
  }
}

const time = (iso: string) => timestampFromDate(new Date(iso));
