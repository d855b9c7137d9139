import { createHash } from 'node:crypto';
import { createReadStream, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { limeImage } from '../../collector/testing/lime-image.ts';
import { Random } from './random.ts';

/** An image on disk, and what it hashes to. */
export interface ImageFile {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** Writes a whole LiME image of about that many bytes, its records of random sizes, all of it following from the seed. */
export function writeImage(dir: string, seed: number, aboutBytes: number): ImageFile {
  const random = new Random(seed);
  const sizes: number[] = [];
  for (let left = aboutBytes; left > 0; ) {
    const size = Math.min(left, 4096 * (1 + random.below(4096)));
    sizes.push(size);
    left -= size;
  }
  const image = limeImage(seed, sizes);
  const path = join(dir, `image-${seed}.lime`);
  writeFileSync(path, image);
  return { path, bytes: image.length, sha256: createHash('sha256').update(image).digest('hex') };
}

/** An image that is there already: a recorded one of a real node. */
export async function recordedImage(path: string): Promise<ImageFile> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const data of createReadStream(path, { highWaterMark: 1 << 20 })) {
    const piece = data as Buffer;
    hash.update(piece);
    bytes += piece.length;
  }
  return { path, bytes, sha256: hash.digest('hex') };
}
