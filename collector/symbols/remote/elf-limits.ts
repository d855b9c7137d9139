/** Bounds of the fetching of an ELF file, and how it is cut into requests. */
export interface ElfLimits {
  /** Largest file, as declared. */
  readonly fileBytes: number;
  /** Most that is fetched of it by ranges. */
  readonly neededBytes: number;
  /** Headers and notes are read by pages of this size. */
  readonly pageBytes: number;
  /** Largest range of one request. */
  readonly pieceBytes: number;
  /** Parts no further apart are fetched with what lies between them: that costs less than another request. */
  readonly gapBytes: number;
  readonly connections: number;
}

/** A vmlinux with debugging information has 400 to 800 MB, of which a third is needed. */
export const defaultElfLimits: ElfLimits = {
  fileBytes: 4 * 2 ** 30,
  neededBytes: 1.5 * 2 ** 30,
  pageBytes: 16 << 10,
  pieceBytes: 16 << 20,
  gapBytes: 256 << 10,
  connections: 4,
};
