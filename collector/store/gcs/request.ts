/** One request of the JSON API. */
export interface GcsRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Absolute. That of an upload session is a secret. */
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** What its answer may have; a longer one is none. Unset: `mostAnswerBytes`. */
  readonly mostBytes?: number;
}

/** Of answers that are no evidence: a page of a list has at most a thousand names. */
export const mostAnswerBytes = 4 << 20;

/** A complete answer, whatever it says. */
export interface GcsAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
}

/** Sends one request once, with the login. Throws NoAnswer, store_refused when there is no login, and the signal's reason. */
export type Send = (request: GcsRequest, signal: AbortSignal | undefined) => Promise<GcsAnswer>;

/** No complete answer came: nobody knows whether the request has been done. Its message holds no address. */
export class NoAnswer extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'NoAnswer';
  }
}

/** Reads an answer to its end. Throws NoAnswer for one that has more than was asked for, which is not read on. */
export async function readAnswer(
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  mostBytes = mostAnswerBytes,
): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of body) {
    bytes += part.length;
    if (bytes > mostBytes) throw new NoAnswer(`an answer of more than ${mostBytes} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** Whether the same request may be answered better a little later. */
export const isPassing = (status: number): boolean => status === 408 || status === 429 || status >= 500;

/** The answer as JSON; undefined when it is none. */
export function jsonOf(answer: GcsAnswer): unknown {
  try {
    return JSON.parse(answer.body.toString());
  } catch {
    return undefined;
  }
}

/** What the store says about a request that it did not do, for people. */
export function wordsOf(answer: GcsAnswer): string {
  const told = jsonOf(answer) as { error?: { message?: unknown } } | undefined;
  const text = typeof told?.error?.message === 'string' ? told.error.message : answer.body.toString();
  const shown = text
    .replace(/https?:\/\/\S+/g, '…')
    .replace(/upload_id\S*/g, '…')
    .replace(/[^\x20-\x7e…]+/g, ' ')
    .trim();
  return shown === '' ? `HTTP ${answer.status}` : `HTTP ${answer.status}, ${shown.slice(0, 400)}`;
}
