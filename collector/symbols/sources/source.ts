import type { KernelIdentity, SymbolsQuality } from '../symbols.ts';

/** What a source has for a kernel. Files in the scratch folder are the caller's. */
export type SourceAnswer =
  /** An ISF (.json, .json.gz, .json.xz) that may be the kernel's; nobody has judged its content yet. */
  | {
      readonly kind: 'isf';
      readonly path: string;
      readonly from: string;
      /** Default: `provided`. */
      readonly quality?: SymbolsQuality;
      /** Set for a file that lies outside of the scratch folder and was found by its banner alone: as in CacheEntry. */
      readonly origin?: string;
    }
  /** An ELF file with the kernel's build-id, sparse where no builder reads. */
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

/** Nothing was found, for a reason that stays. */
export function nothing(looked: string): NotFound {
  return { kind: 'nothing', looked: [looked], transient: false };
}

/** What a source works with during one search. */
export interface Search {
  /** For files; removed when the search has ended. */
  readonly scratchPath: string;
  /** ELF files with the kernel's build-id that our own builder refused. */
  readonly refusedElfs: readonly string[];
  /** Bytes of the current file, anew with each; `totalBytes` is 0 while unknown. */
  progress(doneBytes: number, totalBytes: number): void;
  readonly signal: AbortSignal;
}

/** One place where symbols may be; table.ts lists them all. */
export interface SymbolSource {
  /** Throws the signal's reason, and errors of the file system other than a full disk. */
  seek(kernel: KernelIdentity, search: Search): Promise<SourceAnswer>;
}

/** How the search deals with a source. */
export interface SourceTraits {
  /** In reports, lower-case. */
  readonly name: string;
  /** When it is asked though symbols of the kernel are kept: `always`, on request (`again`), or `never`: they are used. */
  readonly whenKept: 'always' | 'again' | 'never';
  /** Which answers count for a while: all without anything, only files that nobody can use, or none. */
  readonly remembers: 'nothing' | 'refused' | 'none';
}

/** A source in its place of the search. */
export interface ListedSource extends SourceTraits {
  /** Undefined when it is not configured: it is never asked. */
  readonly source: SymbolSource | undefined;
}
