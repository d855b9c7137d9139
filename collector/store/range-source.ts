/** Bytes of a fixed number that can be read from any place on. */
export interface RangeSource extends AsyncDisposable {
  readonly sizeBytes: number;
  /**
   * Exactly the bytes from offset to offset + length. Throws evidence_missing when they are gone, evidence_damaged when they are not what was
   * stored, storage_failed when they cannot be read at the moment, and the signal's reason.
   */
  read(offset: number, length: number, signal?: AbortSignal): Promise<Buffer>;
}

/** Throws RangeError for what is no range of so many bytes. */
export function checkRange(offset: number, length: number, sizeBytes: number): void {
  const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length);
  if (!whole || offset < 0 || length < 0 || offset + length > sizeBytes)
    throw new RangeError(`${length} bytes at ${offset} are no range of ${sizeBytes} bytes`);
}
