import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';

/** Counted up when the builder gives other content for the same input: what an earlier one built is then built anew. */
export const builderRevision = 2;

/** What an ISF holds, for the record beside the file. */
export interface IsfSummary {
  /** Text of linux_banner without line end and NUL; undefined when neither the input nor the caller knows it. */
  readonly banner: string | undefined;
  /** True when the caller gave the banner, and the input holds none. */
  readonly bannerTold: boolean;
  readonly baseTypes: number;
  readonly userTypes: number;
  readonly enums: number;
  readonly symbols: number;
  /** What the input did not tell, in sentences for people: a variable that stays void, a section that is missing. At most 100. */
  readonly remarks: readonly string[];
}

/** The sections of an ISF after `metadata`, in the order in which they are written. */
export const isfSections = ['base_types', 'user_types', 'enums', 'symbols'] as const;

const flushChars = 1 << 18;

/** Writes the text of an ISF (volatility3/schemas/schema-6.2.0.json) entry by entry, so that it never lies in memory as a whole. */
export class IsfWriter {
  readonly #take: (bytes: Buffer) => void;
  #text: string;
  #first = true;
  #open = false;

  constructor(take: (bytes: Buffer) => void, metadata: Readonly<Record<string, unknown>>) {
    this.#take = take;
    this.#text = `{"metadata":${JSON.stringify(metadata)}`;
  }

  section(name: (typeof isfSections)[number]): void {
    this.#text += `${this.#open ? '\n}' : ''},\n"${name}":{`;
    this.#open = true;
    this.#first = true;
  }

  /** `json` is the text of the entry's value. */
  entry(name: string, json: string): void {
    this.#text += `${this.#first ? '\n' : ',\n'}${JSON.stringify(name)}:${json}`;
    this.#first = false;
    if (this.#text.length >= flushChars) this.#flush();
  }

  end(): void {
    this.#text += '\n}}\n';
    this.#flush();
  }

  #flush(): void {
    this.#take(Buffer.from(this.#text, 'utf8'));
    this.#text = '';
  }
}

/** A new file that is written from front to end and hashed on the way; `end` makes it durable. Throws errors of the file system. */
export function createIsfFile(path: string, flags: 'wx' | 'w' = 'wx') {
  const fd = openSync(path, flags, 0o600);
  const hash = createHash('sha256');
  let sizeBytes = 0;
  return {
    take(bytes: Buffer): void {
      hash.update(bytes);
      sizeBytes += bytes.length;
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    },
    /** Size, and SHA-256 as lower-case hex. */
    end(): { sha256: string; sizeBytes: number } {
      fsyncSync(fd);
      return { sha256: hash.digest('hex'), sizeBytes };
    },
    [Symbol.dispose]: () => closeSync(fd),
  };
}
