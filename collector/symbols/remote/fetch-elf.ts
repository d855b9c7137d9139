import type { FileHandle } from 'node:fs/promises';
import { BadInput } from '@kcorder/isf/bad-input.ts';
import { neededParts } from '@kcorder/isf/elf/needed-parts.ts';
import { isElf, type RandomAccess, readBuildId } from '../elf-build-id.ts';
import { readFrom, withDraft, writeAt } from './draft.ts';
import { defaultElfLimits, type ElfLimits } from './elf-limits.ts';
import type { FetchEnd, OnProgress } from './fetch-end.ts';
import { download } from './http.ts';
import { planRanges } from './plan-ranges.ts';
import { RangedFile, type Stop, Stopped } from './ranged-file.ts';
import { defaultTimeouts, type Timeouts, withinWall } from './timeouts.ts';

/** An ELF file to fetch. */
export interface ElfRequest {
  readonly url: URL;
  /** The only build-id taken, lower-case hex. */
  readonly buildId: string;
  /** Must not exist yet. */
  readonly path: string;
  readonly limits?: ElfLimits;
  readonly timeouts?: Timeouts;
  readonly onProgress?: OnProgress;
}

type Changed = Extract<Stop, { kind: 'changed' }>;

/** Ranges are tried twice, as an object may be replaced while it is read; who answers ranges wrongly still has the whole file. */
const tries = [{ ranges: true }, { ranges: true }, { ranges: false }] as const;

/**
 * Fetches an ELF file for a builder that reads it locally. With ranges, only headers and notes come first, and nothing else unless they have
 * the wanted build-id; then the parts that `neededParts` names, into a sparse file of the same size. A server without ranges sends the whole
 * file, which is judged afterwards. A full disk ends as `failed`. Throws the signal's reason and other errors of the file system.
 */
export async function fetchElf(request: ElfRequest, signal: AbortSignal): Promise<FetchEnd> {
  const { timeouts = defaultTimeouts } = request;
  return withinWall<FetchEnd>(timeouts.wallMs, signal, async (bounded) => {
    let reason = '';
    for (const { ranges } of tries) {
      const end = await withDraft(request.path, (draft) => fill(draft, request, ranges, bounded));
      if (end.kind !== 'changed') return end;
      reason = end.reason;
    }
    return { kind: 'failed', reason, transient: true };
  });
}

async function fill(
  draft: FileHandle,
  request: ElfRequest,
  ranges: boolean,
  signal: AbortSignal,
): Promise<FetchEnd | Changed> {
  const { url, limits = defaultElfLimits, timeouts = defaultTimeouts, onProgress } = request;
  let declared = false;
  const take = (offsetBytes: number, bytes: Buffer, declaredBytes: number | undefined) => {
    declared = declaredBytes !== undefined;
    writeAt(draft, offsetBytes, bytes);
    onProgress?.(offsetBytes + bytes.length, declaredBytes ?? 0);
  };
  const firstPage = { range: { offsetBytes: 0, lengthBytes: limits.pageBytes } };
  const first = await download({ url, limitBytes: limits.fileBytes, ...(ranges && firstPage) }, take, timeouts, signal);
  if (first.kind !== 'ok') return first;
  const { version, bytesRead } = first;
  const { sizeBytes } = version;
  if (sizeBytes === undefined) return { kind: 'changed', reason: 'answers ranges without telling its size' };
  if (sizeBytes > limits.fileBytes) {
    return { kind: 'rejected', problem: `has ${sizeBytes} bytes, more than the ${limits.fileBytes} allowed` };
  }
  await draft.truncate(sizeBytes);
  if (first.whole) {
    const read = async (at: number, length: number) => readFrom(draft, sizeBytes, at, length);
    const problem = await judge({ sizeBytes, read }, request.buildId, !declared);
    return problem ?? { kind: 'fetched', bytesRead, sizeBytes };
  }
  const remote = { url, version: { ...version, sizeBytes }, limits, timeouts, signal };
  return fetchParts(new RangedFile(draft, remote), request, bytesRead, limits);
}

async function fetchParts(
  file: RangedFile,
  { buildId, onProgress }: ElfRequest,
  firstBytes: number,
  limits: ElfLimits,
): Promise<FetchEnd | Changed> {
  try {
    const problem = await judge(file, buildId, false);
    if (problem !== undefined) return problem;
    const parts = await file.readBy(neededParts);
    const outside = parts.find(({ offsetBytes, lengthBytes }) => !(offsetBytes + lengthBytes <= file.sizeBytes));
    if (outside !== undefined)
      return { kind: 'rejected', problem: `ends before its section ${printable(outside.name)}` };
    const ranges = planRanges(parts, limits.gapBytes, limits.pieceBytes);
    const neededBytes = ranges.reduce((sum, range) => sum + range.lengthBytes, 0);
    if (neededBytes > limits.neededBytes) {
      const problem = `has ${neededBytes} bytes of debugging information, more than the ${limits.neededBytes} allowed`;
      return { kind: 'rejected', problem };
    }
    let doneBytes = 0;
    const stop = await file.fetch(ranges, (count) => {
      doneBytes += count;
      onProgress?.(doneBytes, neededBytes);
    });
    return stop ?? { kind: 'fetched', bytesRead: firstBytes + file.bytesRead, sizeBytes: file.sizeBytes };
  } catch (error) {
    if (error instanceof Stopped) return error.end;
    if (error instanceof BadInput) return { kind: 'rejected', problem: `cannot be read: ${error.message}` };
    throw error;
  }
}

/** What is wrong with the file by its headers and notes. `maybeCut`: nobody told its size, so its end may be missing. */
async function judge(file: RandomAccess, buildId: string, maybeCut: boolean): Promise<FetchEnd | undefined> {
  const header = await file.read(0, 64);
  if (header.length < 64 || !isElf(header)) return { kind: 'rejected', problem: 'is no 64-bit little-endian ELF file' };
  const tableEnd = header.readBigUInt64LE(40) + BigInt(header.readUInt16LE(58) * header.readUInt16LE(60));
  if (maybeCut && tableEnd > BigInt(file.sizeBytes)) {
    return { kind: 'failed', reason: 'ended before its section headers', transient: true };
  }
  const found = await readBuildId(file);
  if (found === undefined) return { kind: 'rejected', problem: 'has no GNU build-id' };
  return found === buildId ? undefined : { kind: 'mismatch', buildId: found };
}

/** Names in a file are its maker's, and these go to people. */
function printable(name: string): string {
  return name.replace(/[^\x21-\x7e]/g, '?');
}
