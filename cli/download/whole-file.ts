import { unlink } from 'node:fs/promises';
import { exists, moveWithoutReplacing, taken, told } from './part-file.ts';

/**
 * Has FILE.part made anew and gives it its final name. Whatever goes wrong, nothing is left. `option` is how another name is given on the
 * command line. Throws storage_failed when a name is taken, and what `make` throws.
 */
export async function makeWhole<T>(path: string, option: string, make: (partPath: string) => Promise<T>): Promise<T> {
  const partPath = `${path}.part`;
  for (const name of [path, partPath]) if (await exists(name)) throw taken(name, option);
  try {
    const made = await make(partPath);
    await told(path, () => moveWithoutReplacing(partPath, path, option), option);
    return made;
  } catch (error) {
    await unlink(partPath).catch(() => undefined);
    throw error;
  }
}
