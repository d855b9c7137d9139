import { join } from 'node:path';
import { builderRevision } from '@kcorder/isf/isf.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { type BuildInput, buildIsf } from './build/builder.ts';
import type { SymbolCache } from './cache/cache.ts';
import { bannerKey, type CacheEntry, kernelKey, nodeKey, toldKey } from './cache/entry.ts';
import type { Confine } from './confine.ts';
import { inspectIsf } from './isf-file.ts';
import { isBannerOf, isSameKernel, releaseOf } from './same-kernel.ts';
import type { SingleFlight } from './single-flight.ts';
import type { NotFound, SourceAnswer } from './sources/source.ts';
import type { KernelIdentity } from './symbols.ts';

/** What became of a source's answer. */
export type Taken =
  | { readonly kind: 'kept'; readonly entry: CacheEntry }
  /** A file that carries the kernel's build-id and another banner: one of the two is not what it claims, and no other source can tell. */
  | { readonly kind: 'contradiction'; readonly detail: string }
  /** The collector's own disk or memory was in the way. */
  | { readonly kind: 'failed'; readonly detail: string }
  /** An ELF file that our builder cannot use. */
  | { readonly kind: 'refused_elf'; readonly path: string; readonly nothing: NotFound }
  | { readonly kind: 'nothing'; readonly nothing: NotFound };

/** What taking works with. */
export interface TakeDeps {
  readonly cache: SymbolCache;
  /** One build at a time: each may take a core and half a gigabyte. */
  readonly builds: SingleFlight<unknown>;
  readonly scratchPath: string;
  readonly confine: Confine;
  readonly signal: AbortSignal;
}

/** Builds or checks what a source had, and keeps it. Throws the signal's reason, and Fault storage_failed when the cache cannot take it. */
export async function take(
  source: string,
  answer: Exclude<SourceAnswer, NotFound>,
  kernel: KernelIdentity,
  deps: TakeDeps,
): Promise<Taken> {
  const draftPath = join(deps.scratchPath, `${source}.isf`);
  if (answer.kind === 'isf') return await takeIsf(answer, kernel, draftPath, deps);
  const input: BuildInput =
    answer.kind === 'elf'
      ? { kind: 'elf', path: answer.path }
      : { kind: 'types', btfPath: answer.btfPath, kallsymsPath: answer.kallsymsPath };
  const end = await build(input, kernel, draftPath, deps);
  switch (end.kind) {
    case 'failed':
      return { kind: 'failed', detail: `the symbols from ${answer.from} could not be built: ${end.problem}` };
    case 'refused': {
      const rejected = `no symbols could be built from ${answer.from}: ${end.problem}`;
      const nothing: NotFound = { kind: 'nothing', looked: [rejected], rejected };
      return answer.kind === 'elf' ? { kind: 'refused_elf', path: answer.path, nothing } : { kind: 'nothing', nothing };
    }
    case 'built':
      break;
  }
  const elfKey = end.bannerTold ? toldKey(kernel) : kernelKey(kernel);
  const key = answer.kind === 'elf' ? elfKey : nodeKey(kernel);
  // Under the kernel's own name, others would get what this node says.
  if (key === undefined) throw new Fault('internal', `${answer.from} came without a digest to keep it by`);
  const quality = answer.kind === 'elf' ? 'dwarf' : 'btf';
  const entry = entryOf(kernel, { key, quality, source: answer.from, origin: '' }, end);
  await deps.cache.keep(draftPath, entry);
  return isSameKernel(entry, kernel) ? { kind: 'kept', entry } : contradiction(entry, kernel);
}

/** That kept symbols of a build-id carry another banner than the node tells. */
export function contradiction(entry: CacheEntry, kernel: KernelIdentity): Taken & { kind: 'contradiction' } {
  const detail = `the symbols of build-id ${kernel.buildId} (${entry.source}) have the banner "${entry.banner}", the node says "${kernel.banner}"; one of them is not what it claims`;
  return { kind: 'contradiction', detail };
}

async function build(
  input: BuildInput,
  { banner }: KernelIdentity,
  draftPath: string,
  { builds, confine, signal }: TakeDeps,
) {
  // Not the release that the node tells beside it: the key of the symbols does not hold that, and others share them.
  const kernel = { banner, release: releaseOf(banner) ?? '' };
  const work = (ending: AbortSignal) => buildIsf(input, kernel, draftPath, confine, ending);
  return (await builds.run(draftPath, work, signal)) as Awaited<ReturnType<typeof buildIsf>>;
}

async function takeIsf(
  answer: Extract<SourceAnswer, { kind: 'isf' }>,
  kernel: KernelIdentity,
  draftPath: string,
  { cache, signal }: TakeDeps,
): Promise<Taken> {
  const isf = await inspectIsf(answer.path, signal, { copyPath: draftPath }).catch((error: unknown) => {
    if (error instanceof Error && 'syscall' in error) return { kind: 'failed', problem: error.message } as const;
    throw error;
  });
  if (isf.kind === 'failed') return { kind: 'failed', detail: `${answer.from} could not be kept: ${isf.problem}` };
  if (isf.kind === 'unusable') {
    const rejected = `${answer.from} ${isf.problem}`;
    return { kind: 'nothing', nothing: { kind: 'nothing', looked: [rejected], rejected } };
  }
  if (!isBannerOf(isf.banner, kernel.banner)) {
    const mismatch = `${answer.from} has the banner "${isf.banner}", the node says "${kernel.banner}"`;
    return { kind: 'nothing', nothing: { kind: 'nothing', looked: [mismatch], mismatch } };
  }
  const { from, quality = 'provided', origin } = answer;
  // A file that was found by its banner says nothing of the build-id, which here is only a node's word.
  const byBanner = origin !== undefined;
  const [named, key] = byBanner ? [{ ...kernel, buildId: '' }, bannerKey(isf.banner)] : [kernel, kernelKey(kernel)];
  const entry = entryOf(named, { key, quality, source: from, origin: origin ?? '' }, isf);
  await cache.keep(draftPath, entry);
  return { kind: 'kept', entry };
}

function entryOf(
  kernel: KernelIdentity,
  kept: Pick<CacheEntry, 'key' | 'quality' | 'source' | 'origin'>,
  isf: {
    readonly banner: string;
    readonly bannerTold?: boolean;
    readonly sha256: string;
    readonly sizeBytes: number;
    readonly remarks?: readonly string[];
  },
): CacheEntry {
  const { buildId, architecture } = kernel;
  const { banner, bannerTold, sha256, sizeBytes, remarks = [] } = isf;
  const builtAt = new Date().toISOString();
  const release = releaseOf(banner) ?? '';
  const facts = { buildId, banner, release, architecture, sha256, sizeBytes, remarks };
  const told = bannerTold === true ? { bannerTold } : {};
  return { ...kept, ...facts, ...told, builderRevision, builtAt, pinned: false };
}
