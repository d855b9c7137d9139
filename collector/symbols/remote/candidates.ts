import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { shown } from './address.ts';
import { defaultElfLimits, type ElfLimits } from './elf-limits.ts';
import { fetchElf } from './fetch-elf.ts';
import type { FetchEnd, OnProgress } from './fetch-end.ts';
import { fetchFile } from './fetch-file.ts';
import type { Found, RemoteSource } from './source.ts';
import { defaultTimeouts, type Timeouts } from './timeouts.ts';

/** A place where a kernel's file may be. */
export interface Candidate {
  readonly kind: 'elf' | 'isf';
  readonly url: URL;
}

/** Bounds of a search. `patience.wallMs` is for all candidates together. */
export interface SearchSettings {
  readonly timeouts: Timeouts;
  readonly elfLimits: ElfLimits;
  /** Largest ISF, as it lies there. */
  readonly isfLimitBytes: number;
}

export const defaultSettings: SearchSettings = {
  timeouts: defaultTimeouts,
  elfLimits: defaultElfLimits,
  isfLimitBytes: 1 << 30,
};

/** What to search, and where the file goes. */
export interface CandidateSearch {
  readonly source: RemoteSource['name'];
  readonly candidates: readonly Candidate[];
  readonly buildId: string;
  readonly scratchDir: string;
  readonly settings: SearchSettings;
  readonly onProgress: OnProgress;
}

/** Tries the candidates in order, up to the first file. Throws as RemoteSource.find does. */
export async function searchCandidates(search: CandidateSearch, signal: AbortSignal): Promise<Found> {
  const { buildId } = search;
  const looked: string[] = [];
  let rejected: string | undefined;
  let mismatch: string | undefined;
  let transient = false;
  const startMs = performance.now();
  for (const [index, { kind, url }] of search.candidates.entries()) {
    const from = shown(url);
    const draftPath = join(search.scratchDir, `${search.source}-${index}.${kind === 'elf' ? 'vmlinux' : 'download'}`);
    const end = await fetchCandidate(kind, url, draftPath, performance.now() - startMs, search, signal);
    switch (end.kind) {
      case 'fetched':
        return { kind, path: kind === 'elf' ? draftPath : await nameIsf(draftPath), from };
      case 'absent':
        looked.push(`${from}: ${end.status}`);
        break;
      case 'forbidden':
        looked.push(`${from}: ${end.status}, no access`);
        break;
      case 'mismatch': {
        const what = `has the build-id ${end.buildId}, the node's kernel has ${buildId}`;
        looked.push(`${from}: ${what}`);
        mismatch ??= `${from} ${what}`;
        break;
      }
      case 'rejected':
        looked.push(`${from}: ${end.problem}`);
        rejected ??= `${from} ${end.problem}`;
        break;
      case 'failed':
        looked.push(`${from}: ${end.reason}`);
        transient ||= end.transient;
        break;
    }
  }
  return {
    kind: 'nothing',
    looked,
    transient,
    ...(rejected !== undefined && { rejected }),
    ...(mismatch !== undefined && { mismatch }),
  };
}

async function fetchCandidate(
  kind: Candidate['kind'],
  url: URL,
  path: string,
  spentMs: number,
  { settings, buildId, onProgress }: CandidateSearch,
  signal: AbortSignal,
): Promise<FetchEnd> {
  const wallMs = Math.ceil(settings.timeouts.wallMs - spentMs);
  if (wallMs <= 0) return { kind: 'failed', reason: 'not asked: the time for this search was over', transient: true };
  const request = { url, path, timeouts: { ...settings.timeouts, wallMs }, onProgress };
  if (kind === 'isf') return fetchFile({ ...request, limitBytes: settings.isfLimitBytes }, signal);
  return fetchElf({ ...request, buildId, limits: settings.elfLimits }, signal);
}

/** Names an ISF by what it is, for a server may have expanded what its URL calls .gz. */
async function nameIsf(path: string): Promise<string> {
  const file = await open(path);
  const { buffer } = await file.read(Buffer.alloc(6), 0, 6, 0).finally(() => file.close());
  const start = buffer.toString('hex');
  const suffix = start.startsWith('1f8b') ? '.gz' : start === 'fd377a585a00' ? '.xz' : '';
  const named = `${path.slice(0, path.lastIndexOf('.'))}.json${suffix}`;
  await rename(path, named);
  return named;
}
