import { createInterface } from 'node:readline/promises';

/** One of the two streams that a command writes to. */
export interface Sink {
  write(text: string): void;
  readonly isTty: boolean;
  /** Width in columns; unset when nobody looks at it. */
  readonly columns: number | undefined;
}

/** Where the answer to a question comes from. */
export interface Answers {
  readonly isTty: boolean;
  /** Asks on stderr. Empty when nobody answers any more. */
  ask(question: string): Promise<string>;
}

/** Where a command's data and its progress go, and how a person answers and stops it. */
export interface Terminal {
  readonly input: Answers;
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

/** A stream of this process as a source of answers, until the signal fires. */
export function answersOf(stream: NodeJS.ReadStream, signal: AbortSignal): Answers {
  return {
    isTty: stream.isTTY === true,
    ask: async (question) => {
      // Without line editing Ctrl-C reaches the process as ever.
      const lines = createInterface({ input: stream, output: process.stderr, terminal: false });
      const ended = new Promise<string>((resolve) => {
        lines.once('close', () => resolve(''));
      });
      try {
        return await Promise.race([lines.question(question, { signal }), ended]);
      } finally {
        lines.close();
      }
    },
  };
}
