/** Bytes of a fixed number that can be read from any place on. */
export interface RangeSource extends AsyncDisposable {
  readonly sizeBytes: number;
  /**
   * Exactly the bytes from offset to offset + length. Throws evidence_missing when they are gone, evidence_damaged when they are not what was
   * stored, storage_failed when they cannot be read at the moment, and the signal's reason.
   */
  read(offset: number, length: number, signal?: AbortSignal): Promise<Buffer>;
}
