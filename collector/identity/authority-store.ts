import type { Generation } from './generations.ts';

/**
 * Where the collector's authorities lie. What is read is what was last written, by whoever wrote it; a write that would overwrite what its
 * writer has not seen is refused, so two collectors never end up with two authorities.
 */
export interface AuthorityStore {
  /** Undefined when nothing was ever stored. Throws cluster_unavailable, storage_failed, config_invalid for what cannot be understood. */
  read(): Promise<StoredAuthorities | undefined>;
  /** Stores all generations; `version` is that of the last read, undefined when there was nothing. Resolves to the new version, undefined for a conflict. */
  write(generations: readonly Generation[], version: string | undefined): Promise<string | undefined>;
  /** Makes the bundle known to those who verify this collector. The same bundle twice changes nothing. */
  publish(bundle: string): Promise<void>;
}

/** The generations, oldest first, with the version that they were read at. */
export interface StoredAuthorities {
  readonly generations: readonly Generation[];
  readonly version: string;
}

/** The text of a store. */
export const encodeGenerations = (generations: readonly Generation[]): string => JSON.stringify({ generations });

/** Reads what encodeGenerations wrote. Throws an Error with what is wrong. */
export function decodeGenerations(text: string): Generation[] {
  const { generations } = JSON.parse(text) as { generations?: unknown };
  if (!Array.isArray(generations) || generations.length === 0) throw new Error('there are no generations in it');
  for (const generation of generations as Partial<Generation>[]) {
    const { createdAt, notAfter, certificate, key } = generation;
    if (Number.isNaN(Date.parse(createdAt ?? '')) || Number.isNaN(Date.parse(notAfter ?? '')))
      throw new Error('a generation has no times');
    if (!certificate?.includes('BEGIN CERTIFICATE') || !key?.includes('PRIVATE KEY'))
      throw new Error('a generation has no certificate or key');
  }
  return generations as Generation[];
}
