/** What the store says of an object. */
export interface GcsObject {
  readonly bytes: number;
  /** Eight lower-case hex digits; empty when the store does not tell. */
  readonly crc32c: string;
  readonly generation: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** With its version; empty: a key of Google's. */
  readonly kmsKey: string;
  /** What keeps it from being deleted, for people; undefined: nothing. */
  readonly retained: string | undefined;
}

interface ObjectJson {
  size?: unknown;
  crc32c?: unknown;
  generation?: unknown;
  metadata?: Record<string, string>;
  kmsKeyName?: string;
  temporaryHold?: boolean;
  eventBasedHold?: boolean;
  retentionExpirationTime?: string;
  retention?: { retainUntilTime?: string };
}

/** Reads the resource of an object; undefined when it is none. */
export function readObject(json: unknown, now = new Date()): GcsObject | undefined {
  const { size, crc32c, generation, metadata, kmsKeyName, ...holds } = (json ?? {}) as ObjectJson;
  const bytes = Number(size ?? Number.NaN);
  if (!Number.isSafeInteger(bytes) || bytes < 0 || (typeof generation !== 'string' && typeof generation !== 'number'))
    return undefined;
  return {
    bytes,
    crc32c: typeof crc32c === 'string' ? Buffer.from(crc32c, 'base64').toString('hex') : '',
    generation: String(generation),
    metadata: metadata ?? {},
    kmsKey: kmsKeyName ?? '',
    retained: retainedBy(holds, now.getTime()),
  };
}

/** A sum as the API writes it. */
export const base64OfHex = (hex: string): string => Buffer.from(hex, 'hex').toString('base64');

function retainedBy(holds: ObjectJson, nowMs: number): string | undefined {
  const times = [holds.retentionExpirationTime, holds.retention?.retainUntilTime].filter((time) => time !== undefined);
  const latest = times.toSorted((a, b) => Date.parse(a) - Date.parse(b)).at(-1);
  if (holds.temporaryHold === true) return 'RETAINED until its temporary hold is released in the bucket';
  if (holds.eventBasedHold === true) return 'RETAINED until its event-based hold is released in the bucket';
  return latest !== undefined && Date.parse(latest) > nowMs ? `RETAINED until ${latest}` : undefined;
}
