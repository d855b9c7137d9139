/** What a node tells of its kernel. Its own claim: checked against the symbols here and against the image by the analysis. */
export interface KernelIdentity {
  /** GNU build-id, lower-case hex; empty when the kernel has none. */
  readonly buildId: string;
  /** /proc/version without its line end. */
  readonly banner: string;
  /** uname -r. */
  readonly release: string;
  /** uname -m. */
  readonly architecture: string;
  /** BUILD_ID of a Container-Optimized OS image; empty elsewhere. */
  readonly cosBuildId: string;
  /** Digest of the BTF and the symbol list that the node would send; unset or empty when it would send none. */
  readonly typesDigest?: string;
  /** Why it would send none. */
  readonly typesProblem?: string;
}

/** These facts alone: what else a node told of its kernel, its memory and some 64 KiB of text, is not held as long as a search lasts. */
export function identityOf(kernel: KernelIdentity): KernelIdentity {
  const { buildId, banner, release, architecture, cosBuildId, typesDigest, typesProblem } = kernel;
  return {
    ...{ buildId, banner, release, architecture, cosBuildId },
    ...(typesDigest === undefined ? {} : { typesDigest }),
    ...(typesProblem === undefined ? {} : { typesProblem }),
  };
}

/**
 * What symbols were made of. `dwarf`: the debugging information of the kernel's vmlinux. `btf`: the running kernel's own type information and
 * symbol list, where only the variables that are known by name have types. `provided`: an ISF that somebody made elsewhere.
 */
export type SymbolsQuality = 'dwarf' | 'btf' | 'provided';

/** Symbols that carry the node's banner. */
export interface SymbolsReady {
  readonly kind: 'ready';
  /** Absolute path of an ISF, uncompressed JSON. */
  readonly isfPath: string;
  /** Where they came from, for people. */
  readonly source: string;
  readonly quality: SymbolsQuality;
  /** Lower-case hex of the file's bytes. */
  readonly isfSha256: string;
}

/** How the search for a kernel's symbols ended. */
export type SymbolsEnd =
  | SymbolsReady
  /** Nothing fits. `looked` names each place and what was there; `advice` says how to add symbols. */
  | { readonly kind: 'missing'; readonly looked: readonly string[]; readonly advice: string }
  /** Symbols that claim to be this kernel's carry another banner. */
  | { readonly kind: 'mismatch'; readonly detail: string }
  /** A file that may be this kernel's cannot be used: too large, damaged, or no ISF; or what was built of it could not be kept. */
  | { readonly kind: 'rejected'; readonly detail: string }
  /** Volatility cannot analyse this architecture. */
  | { readonly kind: 'unsupported'; readonly architecture: string };

/** How a kernel stands with its symbols at this moment. */
export type SymbolsState =
  | SymbolsEnd
  /** Both 0 when it cannot be told. */
  | { readonly kind: 'building'; readonly step: string; readonly doneBytes: number; readonly totalBytes: number };

/** How a source stood when it was last asked. */
export interface SourceReport {
  /** `cache`, or one of sources/table.ts. */
  readonly name: string;
  readonly state: 'found' | 'nothing' | 'failed' | 'mismatch' | 'rejected' | 'not_asked' | 'not_configured' | 'asking';
  /** What was looked at and what was there; empty where there is nothing to say. */
  readonly detail: string;
  /** ISO 8601, UTC; unset when it was not asked. */
  readonly askedAt?: string;
  /** Not asked again before, unless somebody asks for it. */
  readonly rememberedUntil?: string;
}

/** A kernel's state and how it came about, one report a source in order. */
export interface SymbolsStatus {
  readonly state: SymbolsState;
  readonly reports: readonly SourceReport[];
}

/** Finds the symbols of kernels, building them where it must. */
export interface Symbols {
  /**
   * Symbols of one kernel. Calls for the same kernel share one search; a search ends when every caller has given up. `again` forgets what is
   * remembered of sources that had nothing. Throws the signal's reason, or Fault storage_failed when the cache cannot be read or written.
   */
  find(kernel: KernelIdentity, signal: AbortSignal, options?: { readonly again?: boolean }): Promise<SymbolsEnd>;
}
