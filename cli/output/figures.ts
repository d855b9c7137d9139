import type { Timestamp } from '@bufbuild/protobuf/wkt';

const units = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** Bytes for people, in powers of 1024: 0 B, 1023 B, 1.5 KiB, 330.1 MiB. */
export function bytesText(bytes: bigint | number): string {
  let value = Number(bytes);
  if (value < 1024) return `${value} B`;
  let unit = -1;
  do {
    value /= 1024;
    unit += 1;
  } while (value >= 1023.95 && unit < units.length - 1);
  return `${value.toFixed(1)} ${units[unit]}`;
}

/** A rate for people, in millions of bytes: 48.3 MB/s. */
export function rateText(bytesPerSecond: number): string {
  return `${(bytesPerSecond / 1e6).toFixed(1)} MB/s`;
}

/** How far a work on bytes has come: `150.0 MiB of 330.1 MiB  45%  48.3 MB/s  ETA 4s`; what cannot be told yet is left out. */
export function transferText(
  doneBytes: bigint,
  totalBytes: bigint,
  bytesPerSecond: number | undefined,
  leftMs: number | undefined,
): string {
  const percent = Math.min(100, Math.floor((Number(doneBytes) / Number(totalBytes)) * 100));
  const parts = [`${bytesText(doneBytes)} of ${bytesText(totalBytes)}`, `${percent}%`];
  if (bytesPerSecond !== undefined) parts.push(rateText(bytesPerSecond));
  if (leftMs !== undefined) parts.push(`ETA ${spanText(leftMs)}`);
  return parts.join('  ');
}

/** A span of time, by its two largest units at most: 0s, 59s, 1m30s, 2h5m, 3d4h. */
export function spanText(spanMs: number): string {
  const seconds = Math.max(0, Math.round(spanMs / 1000));
  const [large, largeUnit, small, smallUnit] =
    seconds < 60
      ? [0, '', seconds, 's']
      : seconds < 3600
        ? [Math.floor(seconds / 60), 'm', seconds % 60, 's']
        : seconds < 86_400
          ? [Math.floor(seconds / 3600), 'h', Math.floor((seconds % 3600) / 60), 'm']
          : [Math.floor(seconds / 86_400), 'd', Math.floor((seconds % 86_400) / 3600), 'h'];
  const rest = small === 0 && large > 0 ? '' : `${small}${smallUnit}`;
  return `${large > 0 ? `${large}${largeUnit}` : ''}${rest}`;
}

/** The moment of a timestamp in ms since 1970; undefined when it is not set. */
export function momentOf(timestamp: Timestamp | undefined): number | undefined {
  return timestamp === undefined ? undefined : Number(timestamp.seconds) * 1000 + Math.floor(timestamp.nanos / 1e6);
}

/** A moment in UTC to the second, 2026-11-22 19:03:11; a dash when there is none. */
export function utcText(moment: number | string | undefined): string {
  if (moment === undefined || moment === '') return '-';
  const date = new Date(moment);
  return Number.isNaN(date.getTime()) ? '-' : date.toISOString().slice(0, 19).replace('T', ' ');
}

/** How long ago a moment was; a dash when there is none. */
export function ageText(moment: number | undefined, nowMs: number): string {
  return moment === undefined ? '-' : spanText(nowMs - moment);
}
