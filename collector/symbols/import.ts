import { createWriteStream } from 'node:fs';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { builderRevision } from '@kcorder/isf/isf.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import type { SymbolCache } from './cache/cache.ts';
import { bannerKey, type CacheEntry, isBuildId } from './cache/entry.ts';
import { inspectIsf, isfLimitBytes, isIsfName } from './isf-file.ts';
import { releaseOf } from './same-kernel.ts';

/** What somebody says of an ISF that is to be imported. */
export interface ImportHead {
  readonly fileName: string;
  /** Empty: the banner in the file names the kernel. */
  readonly buildId: string;
  readonly importedBy: string;
}

/**
 * Checks an ISF and keeps it. Throws invalid_argument when it is none, is cut, or its name or build-id is not one; storage_failed; and what
 * `bytes` throws. What was kept for the kernel before is replaced.
 */
export async function importIsf(
  cache: SymbolCache,
  head: ImportHead,
  bytes: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<CacheEntry> {
  const name = basename(head.fileName);
  if (!isIsfName(name)) {
    throw new Fault('invalid_argument', `"${name}" is not named as an ISF: it must end in .json, .json.gz or .json.xz`);
  }
  if (head.buildId !== '' && !isBuildId(head.buildId)) {
    throw new Fault(
      'invalid_argument',
      `"${head.buildId.slice(0, 80)}" is no build-id: give its 8 to 64 lower-case hex digits`,
    );
  }
  await using scratch = await cache.scratch();
  const uploadPath = join(scratch.path, `upload${/\.json(\.gz|\.xz)?$/.exec(name)?.[0] ?? ''}`);
  const copyPath = join(scratch.path, 'isf');
  try {
    await pipeline(Readable.from(limited(bytes)), createWriteStream(uploadPath, { flags: 'wx', mode: 0o600 }), {
      signal,
    });
    const isf = await inspectIsf(uploadPath, signal, { copyPath });
    if (isf.kind === 'unusable') throw new Fault('invalid_argument', `${name} was not imported: it ${isf.problem}`);
    const { banner, sha256, sizeBytes } = isf;
    const release = releaseOf(banner) ?? '';
    const entry: CacheEntry = {
      key: head.buildId === '' ? bannerKey(banner) : head.buildId,
      buildId: head.buildId,
      banner,
      release,
      architecture: '',
      sha256,
      sizeBytes,
      quality: 'provided',
      builderRevision,
      source: `${name}, imported by ${head.importedBy}`,
      origin: '',
      builtAt: new Date().toISOString(),
      pinned: false,
      remarks: [],
    };
    await cache.keep(copyPath, entry);
    return cache.peek(entry.key)?.entry ?? entry;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Error && 'syscall' in error) {
      const message = `${name} could not be kept (${error.message}): see to the collector's disk`;
      throw new Fault('storage_failed', message, { cause: error });
    }
    throw error;
  }
}

async function* limited(bytes: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  let sizeBytes = 0;
  for await (const piece of bytes) {
    sizeBytes += piece.length;
    if (sizeBytes > isfLimitBytes)
      throw new Fault('invalid_argument', `an ISF of more than ${isfLimitBytes} bytes is not taken`);
    yield piece;
  }
}
