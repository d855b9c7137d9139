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
}

/** Symbols that carry the node's banner. */
export interface SymbolsReady {
  readonly kind: 'ready';
  /** Absolute path of an ISF: .json, .json.gz or .json.xz. */
  readonly isfPath: string;
  /** Where they came from, for people. */
  readonly source: string;
  /** Lower-case hex of the file's bytes. */
  readonly isfSha256?: string;
}

/** How the search for a kernel's symbols ended. */
export type SymbolsState =
  | SymbolsReady
  /** Nothing fits. `looked` names each place and what was there; `advice` says how to add symbols. */
  | { readonly kind: 'missing'; readonly looked: readonly string[]; readonly advice: string }
  /** Symbols that claim to be this kernel's carry another banner. */
  | { readonly kind: 'mismatch'; readonly detail: string }
  /** A file that may be this kernel's cannot be used: too large, damaged, or no ISF. */
  | { readonly kind: 'rejected'; readonly detail: string }
  /** Volatility cannot analyse this architecture. */
  | { readonly kind: 'unsupported'; readonly architecture: string };

/** Finds the symbols of kernels, building them where it must. */
export interface Symbols {
  /**
   * Symbols of one kernel. Calls for the same kernel share one build; a build ends when every caller has given up. Throws the signal's
   * reason, or Fault storage_failed when the cache cannot be written.
   */
  find(kernel: KernelIdentity, signal: AbortSignal): Promise<SymbolsState>;
}

/** Makes an ISF of a kernel's ELF file with debugging information. */
export interface SymbolBuilder {
  /** Its name and version as known, for the record. */
  readonly name: string;
  /** Writes the ISF of `elfPath` to `outputPath`, which it may leave half-written when it fails. */
  build(elfPath: string, outputPath: string, signal: AbortSignal): Promise<BuildEnd>;
}

/** How a build ended. */
export type BuildEnd =
  | { readonly kind: 'built' }
  /** The builder is not on this machine. */
  | { readonly kind: 'unavailable'; readonly advice: string }
  | { readonly kind: 'failed'; readonly detail: string };
