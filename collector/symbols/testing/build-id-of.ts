import { open } from 'node:fs/promises';
import { readBuildId } from '../elf-build-id.ts';

/** GNU build-id of an ELF file. Throws when it has none. */
export async function buildIdOf(path: string): Promise<string> {
  await using file = await open(path);
  const { size } = await file.stat();
  const read = async (offset: number, length: number): Promise<Buffer> =>
    (await file.read(Buffer.alloc(length), 0, length, offset)).buffer;
  const found = await readBuildId({ sizeBytes: size, read });
  if (found === undefined) throw new Error(`${path} has no build-id`);
  return found;
}
