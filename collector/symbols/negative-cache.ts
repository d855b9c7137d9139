import { readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import type { NotFound } from './sources/source.ts';

/** An answer without anything, and how long it counts. */
export interface NegativeEntry {
  readonly answer: NotFound;
  /** ISO 8601, UTC. */
  readonly askedAt: string;
  readonly until: string;
}

const absentMs = 6 * 3_600_000;
const transientMs = 120_000;
const maxRemembered = 2_000;
/** UTF-16 units of the file: a node's words come into what was looked for. */
const maxUnits = 4 << 20;

/** Remote sources that had nothing for a kernel, over restarts of the collector; the newest 2,000, or some 8 MB. A file that cannot be read or written only costs a repeated look. */
export class NegativeCache {
  readonly #path: string;
  #answers: Map<string, NegativeEntry>;
  #written: Promise<void> = Promise.resolve();

  constructor(path: string) {
    this.#path = path;
    this.#answers = load(path);
  }

  get(source: string, kernel: string): NegativeEntry | undefined {
    const known = this.#answers.get(`${source} ${kernel}`);
    return known !== undefined && known.until > new Date().toISOString() ? known : undefined;
  }

  async put(source: string, kernel: string, answer: NotFound): Promise<NegativeEntry> {
    const now = Date.now();
    const until = new Date(now + (answer.transient === true ? transientMs : absentMs)).toISOString();
    const entry = { answer, askedAt: new Date(now).toISOString(), until };
    this.#answers.set(`${source} ${kernel}`, entry);
    await this.#write();
    return entry;
  }

  async forget(kernel: string): Promise<void> {
    for (const key of this.#answers.keys()) if (key.endsWith(` ${kernel}`)) this.#answers.delete(key);
    await this.#write();
  }

  async #write(): Promise<void> {
    const now = new Date().toISOString();
    const current = [...this.#answers].filter(([, { until }]) => until > now).slice(-maxRemembered);
    let units = 0;
    const texts = current.map((each) => JSON.stringify(each)).reverse();
    const fitting = texts.filter((each) => {
      units += each.length;
      return units <= maxUnits;
    });
    this.#answers = new Map(current.slice(current.length - fitting.length));
    const text = `[${fitting.reverse().join(',')}]`;
    this.#written = this.#written
      .then(async () => {
        await writeFile(`${this.#path}.draft`, text, { mode: 0o600 });
        await rename(`${this.#path}.draft`, this.#path);
      })
      .catch(() => undefined);
    await this.#written;
  }
}

function load(path: string): Map<string, NegativeEntry> {
  try {
    const entries = JSON.parse(readFileSync(path, 'utf8')) as [string, NegativeEntry][];
    return new Map(entries.filter(([key, value]) => typeof key === 'string' && isNegativeEntry(value)));
  } catch {
    return new Map();
  }
}

function isNegativeEntry(value: unknown): value is NegativeEntry {
  if (typeof value !== 'object' || value === null) return false;
  const { answer, askedAt, until } = value as Record<string, unknown>;
  const texts = typeof askedAt === 'string' && typeof until === 'string';
  return texts && typeof answer === 'object' && answer !== null && 'looked' in answer && Array.isArray(answer.looked);
}
