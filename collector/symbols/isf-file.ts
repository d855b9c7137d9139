import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { runChild } from './child.ts';
import { type IsfContent, IsfScan } from './isf-scan.ts';

/** Largest ISF taken, expanded. A kernel's has 35 to 80 MB. */
export const isfLimitBytes = 1 << 30;

const xzWallMs = 120_000;

/** What a file of symbols is worth. */
export type IsfState =
  | { readonly kind: 'isf'; readonly banner: string; readonly sha256: string }
  /** Why it cannot be used, as a clause about the file. */
  | { readonly kind: 'unusable'; readonly problem: string };

/** Whether a file's name says that it is an ISF. */
export function isIsfName(name: string): boolean {
  return /\.json(\.gz|\.xz)?$/.test(name);
}

/**
 * Reads an ISF (.json, .json.gz, .json.xz) to its end in constant memory: its banner, its SHA-256 as stored, whether it is whole, has types and
 * symbols and keeps to the limit. Throws errors of the file system and the signal's reason.
 */
export async function inspectIsf(path: string, signal: AbortSignal, limitBytes = isfLimitBytes): Promise<IsfState> {
  if ((await stat(path)).size > limitBytes) return tooLarge(limitBytes);
  const scan = new IsfScan();
  const hash = createHash('sha256');
  let expandedBytes = 0;
  const take = (chunk: Buffer): boolean => {
    expandedBytes += chunk.length;
    return expandedBytes <= limitBytes && scan.push(chunk);
  };
  const unpackProblem = await unpack(path, hashed(createReadStream(path), hash), take, signal);
  if (expandedBytes > limitBytes) return tooLarge(limitBytes);
  const content = scan.end();
  if (unpackProblem !== undefined) return { kind: 'unusable', problem: unpackProblem };
  if ('problem' in content) return { kind: 'unusable', problem: content.problem };
  return judge(content, hash.digest('hex'));
}

function judge(content: IsfContent, sha256: string): IsfState {
  const { banner, userTypes, symbols } = content;
  if (userTypes === 0 || symbols === 0) {
    const problem = `has ${userTypes} types and ${symbols} symbols: its kernel file had no debugging information or no symbol table`;
    return { kind: 'unusable', problem };
  }
  if (banner === undefined)
    return { kind: 'unusable', problem: 'does not say which kernel it is of (no linux_banner)' };
  return { kind: 'isf', banner, sha256 };
}

function tooLarge(limitBytes: number): IsfState {
  return { kind: 'unusable', problem: `is larger than ${limitBytes} bytes, expanded` };
}

/** Feeds the expanded bytes to `take` until it wants no more; a clause on what is wrong with the compression, if anything is. */
async function unpack(
  path: string,
  bytes: AsyncIterable<Buffer>,
  take: (chunk: Buffer) => boolean,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (path.endsWith('.xz')) return unpackXz(bytes, take, signal);
  let enough = false;
  const drain = async (source: AsyncIterable<Buffer>) => {
    for await (const chunk of source) {
      enough = !take(chunk);
      if (enough) return;
    }
  };
  if (!path.endsWith('.gz')) {
    await pipeline(bytes, drain, { signal });
    return undefined;
  }
  try {
    await pipeline(bytes, createGunzip(), drain, { signal });
    return undefined;
  } catch (error) {
    // Leaving a pipeline before its end is an error to it.
    if (enough) return undefined;
    if (error instanceof Error && 'code' in error && String(error.code).startsWith('Z_')) {
      return `is no whole gzip file (${error.message})`;
    }
    throw error;
  }
}

async function unpackXz(
  bytes: AsyncIterable<Buffer>,
  take: (chunk: Buffer) => boolean,
  signal: AbortSignal,
): Promise<string | undefined> {
  const argv = ['xz', '--decompress', '--stdout', '--memlimit=256MiB'] as const;
  const end = await runChild({ argv: [...argv], input: bytes, output: take, wallMs: xzWallMs }, signal);
  switch (end.kind) {
    case 'stopped':
      return undefined;
    case 'exited':
      return end.code === 0 ? undefined : `is no whole xz file (${end.stderr.trim()})`;
    case 'killed':
      return `could not be expanded: xz was killed by ${end.by}`;
    case 'timeout':
      return `could not be expanded by xz within ${xzWallMs / 1000} s`;
    case 'not_found':
      return 'needs the program xz, which is not on this machine: install xz-utils, or expand the file';
  }
}

async function* hashed(
  source: AsyncIterable<Buffer>,
  hash: { update(chunk: Buffer): unknown },
): AsyncGenerator<Buffer, void, undefined> {
  for await (const chunk of source) {
    hash.update(chunk);
    yield chunk;
  }
}
