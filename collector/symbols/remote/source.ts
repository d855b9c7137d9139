/** The kernel whose symbols are searched, as its node tells it. Nothing of this becomes part of a URL before its form is checked. */
export interface WantedKernel {
  /** GNU build-id, lower-case hex; empty when the kernel has none. */
  readonly buildId: string;
  /** uname -r. */
  readonly release: string;
  /** uname -m. */
  readonly architecture: string;
  /** BUILD_ID of Container-Optimized OS; empty on other systems. */
  readonly cosBuildId: string;
}

/** How the search in one source ended. The file of an `elf` or `isf` lies in the caller's scratch folder and is the caller's. */
export type Found =
  /** A file with the wanted build-id, sparse where no builder reads. `from` is the URL for people. */
  | { readonly kind: 'elf'; readonly path: string; readonly from: string }
  /** A .json, .json.gz or .json.xz whose content nobody has judged yet. */
  | { readonly kind: 'isf'; readonly path: string; readonly from: string }
  | {
      readonly kind: 'nothing';
      /** One sentence for each place: the URL and what was there. */
      readonly looked: readonly string[];
      /** A file that lay where this kernel's should be and cannot be used, as a sentence. */
      readonly rejected?: string;
      /** A file of another build-id that lay where this kernel's should be, as a sentence. */
      readonly mismatch?: string;
      /** A place failed for a reason that may pass, so "nothing" may not be true for long. */
      readonly transient: boolean;
    };

/** A remote place with kernels' debug files. */
export interface RemoteSource {
  readonly name: 'cos' | 'debuginfod' | 'bucket';
  /**
   * Tries the source's candidates in order. `scratchDir` exists; only a file that is found stays in it. `progress` counts bytes of the current
   * file and starts anew with each; `total` is 0 while unknown. Throws the signal's reason and errors of the file system other than a full disk.
   */
  find(
    kernel: WantedKernel,
    scratchDir: string,
    progress: (doneBytes: number, totalBytes: number) => void,
    signal: AbortSignal,
  ): Promise<Found>;
}

/** Whether a text has the form of a GNU build-id, and so may become part of a URL or a path. */
export function isBuildId(text: string): boolean {
  return /^([0-9a-f]{2}){4,32}$/.test(text);
}

/** Nothing was asked, and why. */
export function nothing(looked: string): Found {
  return { kind: 'nothing', looked: [looked], transient: false };
}
