import type { Body } from './body.ts';
import type { DownloadEnd, DownloadRequest, Take } from './download.ts';
import { type Exchange, exchange } from './exchange.ts';
import {
  declaredSize,
  isEncoded,
  maybeSame,
  type ObjectVersion,
  parseContentRange,
  readVersion,
} from './object-version.ts';
import { parseRetryAfter, type Timeouts } from './timeouts.ts';

/** A try that ended for a reason that may pass. `advanced`: it brought the download on by much. */
export interface Again {
  readonly kind: 'again';
  readonly reason: string;
  readonly advanced: boolean;
  readonly retryAfterMs: number | undefined;
}

type Answer = Exclude<Exchange, { kind: 'failed' }>;

/** A long download over a bad line is no failure as long as each try brings this much. */
const advanceBytes = 1 << 20;

/** The tries of one download, each going on where the last one stopped, as far as the server's answers allow. */
export class Attempts {
  readonly #request: DownloadRequest;
  readonly #take: Take;
  readonly #retries: Timeouts;
  #whole: boolean;
  /** Next byte to get. */
  #atBytes: number;
  /** Most that was ever reached. */
  #highBytes: number;
  /** Behind the last byte to get; undefined while unknown. */
  #endBytes: number | undefined;
  #version: ObjectVersion | undefined;
  #bytesRead = 0;

  constructor(request: DownloadRequest, take: Take, timeouts: Timeouts) {
    const { range } = request;
    this.#request = request;
    this.#take = take;
    this.#retries = timeouts;
    this.#whole = range === undefined;
    this.#atBytes = range?.offsetBytes ?? 0;
    this.#highBytes = this.#atBytes;
    this.#endBytes = range === undefined ? undefined : range.offsetBytes + range.lengthBytes;
    this.#version = request.version;
  }

  /** One more try. Throws the signal's reason and whatever takes the bytes throws. */
  async next(signal: AbortSignal): Promise<DownloadEnd | Again> {
    const range = this.#range();
    if (range === undefined) this.#atBytes = 0;
    const ifRange = this.#version?.ifRange;
    // fetch itself asks for identity when there is a range, and would say it twice.
    const headers: Record<string, string> =
      range === undefined ? { 'accept-encoding': 'identity' } : { range, ...(ifRange && { 'if-range': ifRange }) };
    const answer = await exchange(this.#request.url, headers, this.#retries, signal);
    if (answer.kind === 'failed') {
      const { reason, again, transient } = answer;
      return again ? this.#again(reason) : { kind: 'failed', reason, transient };
    }
    try {
      return await this.#judge(answer, range !== undefined);
    } finally {
      answer.body.discard();
    }
  }

  /** The Range of the next request (RFC 9110 section 14.2); undefined when everything has to come from the beginning. */
  #range(): string | undefined {
    if (!this.#whole) return `bytes=${this.#atBytes}-${(this.#endBytes ?? 0) - 1}`;
    const goesOn = this.#atBytes > 0 && this.#version?.ifRange !== undefined;
    return goesOn ? `bytes=${this.#atBytes}-` : undefined;
  }

  async #judge(answer: Answer, askedRange: boolean): Promise<DownloadEnd | Again> {
    const { status, headers } = answer;
    if (status === 200) return this.#judgeWhole(answer);
    if (status === 206 && askedRange) return this.#judgePart(answer);
    if (status === 404 || status === 410) return { kind: 'absent', status };
    if (status === 401 || status === 403) return { kind: 'forbidden', status };
    if (status === 416 && this.#version !== undefined) return this.#changed('no longer has the bytes asked for');
    if (status === 416 && askedRange) return { kind: 'rejected', problem: 'is empty' };
    const reason = `answered ${status}`;
    if (status !== 408 && status !== 429 && status < 500) return { kind: 'failed', reason, transient: false };
    return this.#again(reason, parseRetryAfter(headers.get('retry-after'), Date.now()));
  }

  async #judgeWhole({ headers, body }: Answer): Promise<DownloadEnd | Again> {
    const version = readVersion(headers, declaredSize(headers));
    if (!this.#whole && this.#version !== undefined) {
      if (this.#version.ifRange === undefined || this.#version.ifRange !== version.ifRange) {
        return this.#changed('is another object than before, or no longer has ranges');
      }
      // Still the same object: this server does not know If-Range. The answers to plain ranges tell the version too.
      this.#version = { ...this.#version, ifRange: undefined };
      return this.#again('sent everything instead of a range');
    }
    this.#whole = true;
    this.#atBytes = 0;
    this.#endBytes = version.sizeBytes;
    this.#version = version;
    // fetch would undo it, but not without making the body wait: see Take.
    if (isEncoded(headers))
      return { kind: 'rejected', problem: 'comes in a content coding although none was asked for' };
    if ((version.sizeBytes ?? 0) > this.#request.limitBytes) return this.#tooLarge();
    return this.#read(body, version.sizeBytes);
  }

  async #judgePart({ headers, body }: Answer): Promise<DownloadEnd | Again> {
    const range = parseContentRange(headers.get('content-range'));
    const fits = range?.offsetBytes === this.#atBytes && range.endBytes <= (this.#endBytes ?? Number.MAX_SAFE_INTEGER);
    if (!fits || isEncoded(headers)) return this.#changed('answered with another range than was asked for');
    const version = readVersion(headers, range.totalBytes);
    if (this.#version !== undefined && !maybeSame(this.#version, version)) return this.#changed('changed meanwhile');
    this.#version ??= version;
    if (!this.#whole) this.#endBytes = Math.min(this.#endBytes ?? 0, range.totalBytes ?? Number.MAX_SAFE_INTEGER);
    return this.#read(body, range.endBytes);
  }

  /** Reads a body that should go up to `untilBytes`, or to its own end. */
  async #read(body: Body, untilBytes: number | undefined): Promise<DownloadEnd | Again> {
    while (true) {
      const step = await body.next();
      if (step.kind === 'bytes') {
        const { bytes } = step;
        const nextBytes = this.#atBytes + bytes.length;
        if (nextBytes > (untilBytes ?? nextBytes)) return this.#changed('sent more than it declared');
        if (this.#whole && nextBytes > this.#request.limitBytes) return this.#tooLarge();
        this.#take(this.#atBytes, bytes, this.#whole ? this.#endBytes : undefined);
        this.#atBytes = nextBytes;
        this.#bytesRead += bytes.length;
        continue;
      }
      if (step.kind === 'end' && untilBytes === undefined) this.#endBytes = this.#atBytes;
      if (this.#atBytes === this.#endBytes && this.#version !== undefined) {
        const version = this.#whole ? { ...this.#version, sizeBytes: this.#endBytes } : this.#version;
        return { kind: 'ok', whole: this.#whole, version, bytesRead: this.#bytesRead };
      }
      return this.#again(step.kind === 'cut' ? step.reason : 'ended before its declared size');
    }
  }

  /** What was given so far is of no use: a whole object comes anew, a part of one is the caller's to judge. */
  #changed(reason: string): DownloadEnd | Again {
    if (!this.#whole) return { kind: 'changed', reason };
    const again = this.#again(reason);
    this.#atBytes = 0;
    this.#endBytes = undefined;
    this.#version = undefined;
    return again;
  }

  #again(reason: string, retryAfterMs?: number): Again {
    const advanced = this.#atBytes - this.#highBytes >= advanceBytes;
    this.#highBytes = Math.max(this.#highBytes, this.#atBytes);
    return { kind: 'again', reason, advanced, retryAfterMs };
  }

  #tooLarge(): DownloadEnd {
    return { kind: 'rejected', problem: `is larger than ${this.#request.limitBytes} bytes` };
  }
}
