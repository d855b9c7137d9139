import type { KernelIdentity, SourceName } from '../symbols.ts';

/** What a source has for a kernel. Files in the scratch folder are the caller's. */
export type SourceAnswer =
  /** An ISF (.json, .json.gz, .json.xz) that may be the kernel's; `origin` as in CacheEntry, empty for a file in the scratch folder. */
  | { readonly kind: 'isf'; readonly path: string; readonly from: string; readonly origin: string }
  /** An ELF file with the kernel's build-id. */
  | { readonly kind: 'elf'; readonly path: string; readonly from: string }
  /** What a node sent. */
  | { readonly kind: 'types'; readonly btfPath: string; readonly kallsymsPath: string; readonly from: string }
  | NotFound;

/** Nothing that could be used, and why. */
export interface NotFound {
  readonly kind: 'nothing';
  /** Each place and what was there, in sentences for people. */
  readonly looked: readonly string[];
  /** What claims to be the kernel's and is of another build. */
  readonly mismatch?: string;
  /** What may be the kernel's and cannot be used. */
  readonly rejected?: string;
  /** The reason may pass by itself: a network that is down, a server with a fault. */
  readonly transient?: boolean;
}

/** What a source works with during one search. */
export interface Search {
  /** For files; removed when the search has ended. */
  readonly scratchPath: string;
  /** ELF files with the kernel's build-id that our own builder refused. */
  readonly refusedElfs: readonly string[];
  progress(doneBytes: number, totalBytes: number): void;
  readonly signal: AbortSignal;
}

/** One place where symbols may be. */
export interface SymbolSource {
  readonly name: SourceName;
  /** Set up by the operator, or with something to offer by itself; one that is not is never asked. */
  readonly configured: boolean;
  /** Over the network: an answer without anything is remembered for a while. */
  readonly remote: boolean;
  /** Throws only the search's own ending. */
  seek(kernel: KernelIdentity, search: Search): Promise<SourceAnswer>;
}
