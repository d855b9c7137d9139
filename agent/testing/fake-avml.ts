import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A program in AVML's place. */
export interface FakeAvml {
  readonly path: string;
  readonly sha256: string;
  /** The bytes that it writes when it is left alone. */
  readonly image: Buffer;
}

/**
 * Writes a shell script that takes AVML's arguments. `acquire` is its body, with `$IMAGE` as a file of `imageBytes` random bytes and
 * `$FIFO` as the place to write to; it writes the image unless told otherwise.
 */
export function makeFakeAvml(dir: string, imageBytes: number, acquire = 'exec cat "$IMAGE" > "$FIFO"'): FakeAvml {
  const image = randomBytes(imageBytes);
  const imagePath = join(dir, 'image');
  writeFileSync(imagePath, image);
  const path = join(dir, 'avml');
  writeFileSync(
    path,
    `#!/bin/sh
[ "$1" = --version ] && { echo "avml 0.21.0"; exit; }
[ "$1 $2" = "acquire --source" ] || { echo "unknown arguments: $*" >&2; exit 64; }
IMAGE='${imagePath}'
FIFO=$4
${acquire}
`,
    { mode: 0o755 },
  );
  return { path, sha256: createHash('sha256').update(readFileSync(path)).digest('hex'), image };
}
