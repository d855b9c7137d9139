import { createHash } from 'node:crypto';
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Fault } from '@kcorder/proto/fault.ts';
import {
  type AuthorityStore,
  decodeGenerations,
  encodeGenerations,
  type StoredAuthorities,
} from './authority-store.ts';
import type { Generation } from './generations.ts';

/**
 * Keeps the authorities in a directory: authority.json (mode 0600) and ca.crt. It lies in the collector's data, whose database only one collector at
 * a time can open.
 */
export class DirectoryStore implements AuthorityStore {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  async read(): Promise<StoredAuthorities | undefined> {
    const path = join(this.#dir, 'authority.json');
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw new Fault('storage_failed', `${path} cannot be read: see to the collector's disk`, { cause: error });
    }
    try {
      return { generations: decodeGenerations(text), version: versionOf(text) };
    } catch (error) {
      const advice = 'restore it from a copy, or remove it: then every agent has to enrol with a new ca.crt';
      throw new Fault('config_invalid', `${path} cannot be understood: ${advice}`, { cause: error });
    }
  }

  async write(generations: readonly Generation[], version: string | undefined): Promise<string | undefined> {
    if ((await this.read())?.version !== version) return undefined;
    const text = encodeGenerations(generations);
    await this.#put('authority.json', text, 0o600);
    return versionOf(text);
  }

  async publish(bundle: string): Promise<void> {
    // A disk that is full takes nothing, and a start needs nothing of it.
    if ((await readFile(join(this.#dir, 'ca.crt'), 'utf8').catch(() => undefined)) === bundle) return;
    await this.#put('ca.crt', bundle, 0o644);
  }

  async #put(name: string, text: string, mode: number): Promise<void> {
    const path = join(this.#dir, name);
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      const file = await open(`${path}.new`, 'w', mode);
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(`${path}.new`, path);
    } catch (error) {
      throw new Fault('storage_failed', `${path} cannot be written: see to the collector's disk`, { cause: error });
    }
  }
}

const versionOf = (text: string): string => createHash('sha256').update(text).digest('hex');
