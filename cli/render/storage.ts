import {
  type Hold,
  type Storage,
  StoragePlace,
  StoragePlaceSchema,
} from '@kcorder/proto/gen/kcorder/v1/evidence_pb.ts';
import { bytesText, momentOf, utcText } from '../output/figures.ts';
import { type Cell, type Column, type Look, tableOf } from '../output/grid.ts';
import { enumWord } from './enum-word.ts';
import { type Fact, factsText } from './facts.ts';

const columns: readonly Column[] = [
  { title: 'CAPTURE' },
  { title: 'EVIDENCE' },
  { title: 'STORED', align: 'right' },
  { title: 'HOLDS', align: 'right' },
  { title: 'LOCATION' },
];

/** Where evidence is, in one or two words: `spool`, `store, held`, `deleted`, `DAMAGED`; a dash when it was not told. */
export function placeWord(storage: Storage | undefined): string {
  if (storage === undefined || storage.place === StoragePlace.UNSPECIFIED) return '-';
  const word = enumWord(StoragePlaceSchema, storage.place);
  if (storage.place === StoragePlace.DELETED) return word;
  return `${isDamaged(storage) ? 'DAMAGED' : word}${storage.holds.length > 0 ? ', held' : ''}`;
}

/** The same as a cell, in the tone of what is bad when the last verification found something wrong. */
export function placeCell(storage: Storage | undefined): string | Cell {
  const text = placeWord(storage);
  return isDamaged(storage) ? { text, tone: 'bad' } : text;
}

/** Whether nothing is left of evidence but its tombstone. */
export function isDeleted(storage: Storage | undefined): boolean {
  return storage?.place === StoragePlace.DELETED;
}

/** Where the bytes are now; empty when they are nowhere, or nobody told. */
export function locationOf(storage: Storage | undefined, evidencePath: string): string {
  if (isDeleted(storage)) return '';
  return storage?.location || evidencePath;
}

/** When, by whom and why evidence was deleted; empty when it is there. */
export function tombstoneText(storage: Storage | undefined): string {
  return storage?.tombstone === undefined ? '' : byWhom(storage.tombstone);
}

/** What there is to tell of stored evidence besides its location. */
export function storageFacts(storage: Storage | undefined): Fact[] {
  if (storage === undefined) return [];
  return [
    ['stored', storedText(storage)],
    ['not stored', isDeleted(storage) ? '' : storage.lastError],
    ['verified', storage.verifiedAt === undefined ? '' : `${utcText(momentOf(storage.verifiedAt))} UTC`],
    ['DAMAGED', isDamaged(storage) ? storage.damage : ''],
    ...storage.holds.map((hold): Fact => ['hold', byWhom(hold)]),
    ['deleted', tombstoneText(storage)],
  ];
}

/** The evidence of one capture: its line, then its facts. */
export function storageText(captureId: string, storage: Storage, look: Look): string {
  const row = [
    captureId,
    placeCell(storage),
    storage.storedBytes === 0n ? '-' : bytesText(storage.storedBytes),
    String(storage.holds.length),
    locationOf(storage, '') || '-',
  ];
  const facts = factsText(storageFacts(storage), look);
  return [tableOf(columns, [row], look), facts].filter((part) => part !== '').join('\n');
}

function storedText({ place, storedBytes, crc32c, generation }: Storage): string {
  if (place !== StoragePlace.STORE) return '';
  const parts = [bytesText(storedBytes)];
  if (crc32c !== '') parts.push(`CRC-32C ${crc32c}`);
  if (generation !== '') parts.push(`generation ${generation}`);
  return parts.join(', ');
}

function isDamaged(storage: Storage | undefined): boolean {
  return storage !== undefined && storage.damage !== '' && !isDeleted(storage);
}

function byWhom({ at, by, reason }: Pick<Hold, 'by' | 'reason'> & { readonly at?: Hold['at'] }): string {
  return `${utcText(momentOf(at))} UTC by ${by || 'somebody unnamed'}: ${reason || 'no reason given'}`;
}
