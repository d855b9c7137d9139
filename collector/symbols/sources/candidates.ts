import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { shown } from '../remote/address.ts';
import { defaultElfLimits, type ElfLimits } from '../remote/elf-limits.ts';
import { fetchElf } from '../remote/fetch-elf.ts';
import type { FetchEnd } from '../remote/fetch-end.ts';
import { fetchFile } from '../remote/fetch-file.ts';
import { defaultTimeouts, type Timeouts } from '../remote/timeouts.ts';
import type { Search, SourceAnswer } from './source.ts';

/** A place where a kernel's file may be. */
export interface Candidate {
  readonly kind: 'elf' | 'isf';
  readonly url: URL;
}

/** Bounds of a search. `timeouts.wallMs` is for all candidates together. */
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

/** What to search. */
export interface CandidateSearch {
  /** Names the files. */
  readonly source: string;
  readonly candidates: readonly Candidate[];
  readonly buildId: string;
  readonly settings: SearchSettings;
}

/** True for a text of the form of a GNU build-id, which alone may become part of a URL. */
export function isBuildId(text: string): boolean {
  return /^([0-9a-f]{2}){4,32}$/.test(text);
}

/**
 * Tries the candidates in order, up to the first file, which alone stays in the scratch folder. Throws as
 * SymbolSource.seek does.
 */
export async function searchCandidates(wanted: CandidateSearch, search: Search): Promise<SourceAnswer> {
  const { source, candidates, buildId } = wanted;
  const looked: string[] = [];
  let rejected: string | undefined;
  let mismatch: string | undefined;
  let transient = false;
  const startMs = performance.now();
  for (const [index, { kind, url }] of candidates.entries()) {
    const from = shown(url);
    const path = join(search.scratchPath, `${source}-${index}.${kind === 'elf' ? 'vmlinux' : 'download'}`);
    const end = await fetchCandidate({ kind, url }, path, performance.now() - startMs, wanted, search);
    switch (end.kind) {
      case 'fetched':
        return { kind, path: kind === 'elf' ? path : await nameIsf(path), from };
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
  { kind, url }: Candidate,
  path: string,
  spentMs: number,
  { settings, buildId }: CandidateSearch,
  { progress, signal }: Search,
): Promise<FetchEnd> {
  const wallMs = Math.ceil(settings.timeouts.wallMs - spentMs);
  if (wallMs <= 0) return { kind: 'failed', reason: 'not asked: the time for this search was over', transient: true };
  const request = { url, path, timeouts: { ...settings.timeouts, wallMs }, onProgress: progress };
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
