/** One of the two streams that a command writes to. */
export interface Sink {
  write(text: string): void;
  readonly isTty: boolean;
  /** Width in columns; unset when nobody looks at it. */
  readonly columns: number | undefined;
}

/** Where a command's data and its progress go, and how a person stops it. */
export interface Terminal {
  /** Data only. */
  readonly out: Sink;
  /** Progress, notes, warnings and errors. */
  readonly err: Sink;
  /** Fires at Ctrl-C. */
  readonly interrupt: AbortSignal;
}

/** A stream of this process as a sink. The width that the shell told wins over the terminal's own. */
export function sinkOf(stream: NodeJS.WriteStream, columns: number | undefined): Sink {
  const isTty = stream.isTTY === true;
  return {
    write: (text) => {
      stream.write(text);
    },
    isTty,
    get columns() {
      return isTty ? (columns ?? stream.columns ?? 80) : undefined;
    },
  };
}
