import { chmodSync, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const forEverybody = ['tmp', 'var/tmp'];

/**
 * Gives every file below `root` the mode 755 if it can be run, else 644: nothing is setuid, nothing is for its owner alone, and the umask of who
 * builds does not show.
 */
export function settleModes(root: string, path = '.'): void {
  for (const entry of readdirSync(join(root, path), { withFileTypes: true })) {
    const child = join(path, entry.name);
    if (entry.isDirectory()) {
      chmodSync(join(root, child), forEverybody.includes(child) ? 0o1777 : 0o755);
      settleModes(root, child);
    } else if (entry.isFile()) {
      const { mode } = lstatSync(join(root, child));
      chmodSync(join(root, child), mode & 0o111 ? 0o755 : 0o644);
    }
  }
}
