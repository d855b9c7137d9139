import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { cacheKey, type SymbolCache } from './cache.ts';
import { inspectIsf } from './isf-file.ts';
import type { KernelIdentity, SymbolBuilder, SymbolsState } from './symbols.ts';

/** What was built for this kernel before: ready, a mismatch when it carries another banner, or undefined. */
export async function findBuilt(cache: SymbolCache, kernel: KernelIdentity): Promise<SymbolsState | undefined> {
  const key = cacheKey(kernel);
  const entry = await cache.read(key);
  if (entry === undefined) return undefined;
  if (entry.banner !== kernel.banner) return bannerDiffers(entry.source, entry.banner, kernel);
  return { kind: 'ready', isfPath: cache.path(key), source: entry.source, isfSha256: entry.sha256 };
}

/** Builds the kernel's ISF from an ELF file that carries its build-id, checks it and keeps it in the cache. */
export async function buildSymbols(
  elfPath: string,
  kernel: KernelIdentity,
  cache: SymbolCache,
  builder: SymbolBuilder,
  signal: AbortSignal,
): Promise<SymbolsState> {
  const before = await findBuilt(cache, kernel);
  if (before !== undefined) return before;
  const key = cacheKey(kernel);
  const draft = cache.draft(key);
  try {
    const end = await builder.build(elfPath, draft, signal);
    if (end.kind === 'unavailable') {
      return { kind: 'missing', looked: [`${elfPath} has the kernel's build-id`], advice: end.advice };
    }
    if (end.kind === 'failed')
      return { kind: 'rejected', detail: `no symbols could be built from ${elfPath}: ${end.detail}` };
    const isf = await inspectIsf(draft, signal);
    if (isf.kind === 'unusable') {
      return { kind: 'rejected', detail: `what ${builder.name} built from ${elfPath} ${isf.problem}` };
    }
    const source = `built by ${builder.name} from ${basename(elfPath)}`;
    const { size } = await stat(draft);
    const { banner, sha256 } = isf;
    await cache.keep(key, draft, { banner, sha256, sizeBytes: size, source, builtAt: new Date().toISOString() });
    if (banner !== kernel.banner) return bannerDiffers(source, banner, kernel);
    return { kind: 'ready', isfPath: cache.path(key), source, isfSha256: sha256 };
  } finally {
    await cache.discard(draft);
  }
}

function bannerDiffers(source: string, banner: string, kernel: KernelIdentity): SymbolsState {
  const detail = `the symbols of build-id ${kernel.buildId} (${source}) have the banner "${banner}", the node says "${kernel.banner}"; one of them is not what it claims`;
  return { kind: 'mismatch', detail };
}
