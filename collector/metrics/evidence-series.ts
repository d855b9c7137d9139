import { statfs } from 'node:fs/promises';
import type { MetricQueries } from '../journal/metric-queries.ts';
import { replace, type Scrape, seconds, setOrRemove } from './scrape.ts';

const places = ['spool', 'store', 'deleting'] as const;

/** Limits of the evidence. Sizes in bytes. */
export interface EvidenceLimits {
  /** Where the evidence lies; what is free is asked of its file system. */
  readonly dataDir: string;
  /** Kept free for the file system itself. */
  readonly reserveBytes: number;
  /** 0: none. */
  readonly quotaBytes: number;
}

/** Where the evidence is, and how much room it has. */
export function watchEvidence(scrape: Scrape, queries: MetricQueries, limits: EvidenceLimits): void {
  const bytes = scrape.gauge('kcorder_evidence_kept_bytes', 'Bytes of images that are not deleted, by place.', [
    'place',
  ]);
  const images = scrape.gauge('kcorder_evidence_images', 'Images that are not deleted, by place.', ['place']);
  const notStored = scrape.gauge(
    'kcorder_evidence_troubled',
    'Images that could not be put into the evidence store, with the reason on record.',
  );
  const damaged = scrape.gauge(
    'kcorder_evidence_flawed',
    'Images in which the last verification found something wrong.',
  );
  const held = scrape.gauge('kcorder_evidence_held', 'Captures whose evidence is on hold.');
  const verified = scrape.gauge(
    'kcorder_evidence_oldest_verified_timestamp_seconds',
    'When that stored image was verified, or else sealed, which was not for the longest time; not there when none is stored.',
  );
  const reserved = scrape.gauge('kcorder_evidence_reserved_bytes', 'Bytes that running captures may still need.');
  const free = scrape.gauge(
    'kcorder_evidence_free_bytes',
    "Bytes that are free on the collector's disk, its reserve left out.",
  );
  const size = scrape.gauge('kcorder_evidence_disk_bytes', "Size of the collector's disk.");
  scrape
    .gauge('kcorder_evidence_quota_bytes', 'How much evidence there may be in all; 0: as much as fits.')
    .set(limits.quotaBytes);
  scrape.read(async () => {
    const found = queries.places();
    const all = (value: (place: (typeof found)[number]) => number): number =>
      found.reduce((sum, place) => sum + value(place), 0);
    const each = (value: (place: (typeof found)[number] | undefined) => number) =>
      places.map((place) => [{ place }, value(found.find((one) => one.place === place))] as const);
    replace(
      bytes,
      each((place) => place?.bytes ?? 0),
    );
    replace(
      images,
      each((place) => place?.images ?? 0),
    );
    notStored.set(all((place) => place.notStored));
    damaged.set(all((place) => place.damaged));
    held.set(queries.held());
    setOrRemove(verified, seconds(found.find(({ place }) => place === 'store')?.oldestReadAtMs));
    reserved.set(queries.reservedBytes());
    const { bavail, bsize, blocks } = await statfs(limits.dataDir);
    free.set(Math.max(0, bavail * bsize - limits.reserveBytes));
    size.set(blocks * bsize);
  });
}
