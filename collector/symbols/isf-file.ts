import { createHash } from 'node:crypto';
import { closeSync, createReadStream, fsyncSync, openSync, writeSync } from 'node:fs';
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
  /** Of the expanded text: lower-case hex, and bytes. */
  | { readonly kind: 'isf'; readonly banner: string; readonly sha256: string; readonly sizeBytes: number }
  /** Why it cannot be used, as a clause about the file. */
  | { readonly kind: 'unusable'; readonly problem: string };

/** Whether a file's name says that it is an ISF. */
export function isIsfName(name: string): boolean {
  return /\.json(\.gz|\.xz)?$/.test(name);
}

/**
 * Reads an ISF (.json, .json.gz, .json.xz) to its end in constant memory: its banner, whether it is whole, has types and symbols and keeps to
 * the limit. With `copyPath` the expanded text is written there, a new file that is durable when it is an ISF. Throws errors of the file system
 * and the signal's reason.
 */
export async function inspectIsf(
  path: string,
  signal: AbortSignal,
  options: { readonly limitBytes?: number; readonly copyPath?: string } = {},
): Promise<IsfState> {
  const { limitBytes = isfLimitBytes, copyPath } = options;
  if ((await stat(path)).size > limitBytes) return tooLarge(limitBytes);
  const scan = new IsfScan();
  const hash = createHash('sha256');
  const copy = copyPath === undefined ? undefined : openSync(copyPath, 'wx', 0o600);
  let expandedBytes = 0;
  const take = (chunk: Buffer): boolean => {
    expandedBytes += chunk.length;
    if (expandedBytes > limitBytes) return false;
    hash.update(chunk);
    if (copy !== undefined) for (let at = 0; at < chunk.length; ) at += writeSync(copy, chunk, at);
    return scan.push(chunk);
  };
  try {
    const unpackProblem = await unpack(path, createReadStream(path), take, signal);
    if (expandedBytes > limitBytes) return tooLarge(limitBytes);
    const content = scan.end();
    if (unpackProblem !== undefined) return { kind: 'unusable', problem: unpackProblem };
    if ('problem' in content) return { kind: 'unusable', problem: content.problem };
    if (copy !== undefined) fsyncSync(copy);
    return judge(content, hash.digest('hex'), expandedBytes);
  } finally {
    if (copy !== undefined) closeSync(copy);
  }
}

function judge(content: IsfContent, sha256: string, sizeBytes: number): IsfState {
  const { banner, userTypes, symbols } = content;
  if (userTypes === 0 || symbols === 0) {
    const problem = `has ${userTypes} types and ${symbols} symbols: its kernel file had no debugging information or no symbol table`;
    return { kind: 'unusable', problem };
  }
  if (banner === undefined)
    return { kind: 'unusable', problem: 'does not say which kernel it is of (no linux_banner)' };
  return { kind: 'isf', banner, sha256, sizeBytes };
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
