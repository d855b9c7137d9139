import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';

/** A short hash over texts and the contents of files and folders (names included): the name of what is built from them. */
export function fingerprint(inputs: { texts?: string[]; paths?: string[] }): string {
  const hash = createHash('sha256');
  for (const text of inputs.texts ?? []) hash.update(`${text.length}:${text}`);
  for (const path of inputs.paths ?? []) add(path, basename(path));
  return hash.digest('hex').slice(0, 16);

  // by the names from the given path on: two checkouts of the same content share what is built
  function add(path: string, name: string): void {
    if (statSync(path).isDirectory()) {
      for (const child of readdirSync(path).sort()) add(join(path, child), join(name, child));
      return;
    }
    const bytes = readFileSync(path);
    hash.update(`${name}:${bytes.length}:`).update(bytes);
  }
}
