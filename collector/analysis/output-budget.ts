/** What one plugin has printed until it has ended. */
export interface OutputShare {
  pendingBytes: number;
}

/**
 * What the plugins of an analysis may still print. What a failed plugin printed counts half: one plugin cannot take the others' share, and all of
 * them together make us read twice the limit at most. Of those that run at the same time the one that has printed most is the first to be too many.
 */
export class OutputBudget {
  readonly #limitBytes: number;
  readonly #open = new Set<OutputShare>();
  #keptBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  open(): OutputShare {
    const share: OutputShare = { pendingBytes: 0 };
    this.#open.add(share);
    return share;
  }

  /** Counts what was printed. Once the limit is passed it returns the share that is to end. */
  take(share: OutputShare, bytes: number): OutputShare | undefined {
    share.pendingBytes += bytes;
    let pendingBytes = 0;
    let largest = share;
    for (const each of this.#open) {
      pendingBytes += each.pendingBytes;
      if (each.pendingBytes > largest.pendingBytes) largest = each;
    }
    return this.#keptBytes + pendingBytes > this.#limitBytes ? largest : undefined;
  }

  keep(share: OutputShare): void {
    this.#end(share, share.pendingBytes);
  }

  refundHalf(share: OutputShare): void {
    this.#end(share, share.pendingBytes / 2);
  }

  #end(share: OutputShare, countedBytes: number): void {
    if (this.#open.delete(share)) this.#keptBytes += countedBytes;
  }
}
