import { Fault, type FaultCode } from '@kcorder/proto/fault.ts';
import { type GcsObject, readObject } from './object.ts';
import { Attempts, type Pace } from './pace.ts';
import { type GcsAnswer, type GcsRequest, isPassing, jsonOf, NoAnswer, type Send, wordsOf } from './request.ts';

/** How a bucket is reached. */
export interface GcsAccess {
  readonly send: Send;
  /** Without a slash at its end. */
  readonly endpoint: string;
  readonly bucket: string;
  readonly pace: Pace;
}

/** What an ending is about, for people. */
export interface Subject {
  /** Such as `gs://b/o cannot be read`. */
  readonly failure: string;
  readonly permission: string;
}

/** Requests about one bucket, made again while it makes sense, with their bad endings as faults. */
export class GcsApi {
  readonly access: GcsAccess;
  readonly #base: string;

  constructor(access: GcsAccess) {
    this.access = access;
    this.#base = `${access.endpoint}/storage/v1/b/${encodeURIComponent(access.bucket)}`;
  }

  attempts(): Attempts {
    return new Attempts(this.access.pace);
  }

  location(key: string): string {
    return `gs://${this.access.bucket}/${key}`;
  }

  bucketUrl(path: string, query: Readonly<Record<string, string>> = {}): string {
    const parameters = new URLSearchParams(query).toString();
    return `${this.#base}${path}${parameters === '' ? '' : `?${parameters}`}`;
  }

  objectUrl(key: string, query: Readonly<Record<string, string>> = {}): string {
    return this.bucketUrl(`/o/${encodeURIComponent(key)}`, query);
  }

  sessionsUrl(query: Readonly<Record<string, string>>): string {
    const { endpoint, bucket } = this.access;
    return `${endpoint}/upload/storage/v1/b/${encodeURIComponent(bucket)}/o?${new URLSearchParams(query)}`;
  }

  /**
   * Makes a request that may be made twice. Answers that will not get better by waiting are given as they are, but a 200 or 206 only if it is usable.
   * Throws storage_failed, store_refused.
   */
  async ask(
    request: GcsRequest,
    subject: Subject,
    signal: AbortSignal | undefined,
    isUsable: (answer: GcsAnswer) => boolean = () => true,
  ): Promise<GcsAnswer> {
    const attempts = this.attempts();
    for (;;) {
      const answer = await this.try(request, signal);
      const isClear = !(answer instanceof NoAnswer) && !isPassing(answer.status);
      if (isClear && ((answer.status !== 200 && answer.status !== 206) || isUsable(answer))) return answer;
      if (!(await attempts.wait(signal))) throw this.failed(answer, subject);
    }
  }

  /** Makes a request once. That no answer came is a value, for who goes on. Throws store_refused when there is no login, and the signal's reason. */
  async try(request: GcsRequest, signal: AbortSignal | undefined): Promise<GcsAnswer | NoAnswer> {
    signal?.throwIfAborted();
    try {
      return await this.access.send(request, signal);
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof NoAnswer) return error;
      throw error;
    }
  }

  /** What the store says of an object; undefined when it is not there. */
  async object(key: string, signal?: AbortSignal): Promise<GcsObject | undefined> {
    const subject = { failure: `${this.location(key)} cannot be looked at`, permission: 'storage.objects.get' };
    const read = (answer: GcsAnswer) => readObject(jsonOf(answer));
    const request = { method: 'GET', url: this.objectUrl(key) } as const;
    const answer = await this.ask(request, subject, signal, (each) => read(each) !== undefined);
    if (this.isAbsent(answer)) return undefined;
    if (answer.status !== 200) throw this.refused(answer, subject);
    return read(answer);
  }

  /** Whether an object is not there though its bucket is. */
  isAbsent(answer: GcsAnswer): boolean {
    return answer.status === 404 && !/bucket does not exist/i.test(wordsOf(answer));
  }

  /** It may go better later. */
  failed(answer: GcsAnswer | NoAnswer, { failure }: Subject): Fault {
    const seen = answer instanceof NoAnswer ? answer.message : seenOf(answer);
    return new Fault(
      'storage_failed',
      `${failure}: the store gave no usable answer in ${this.access.pace.attempts} attempts (last: ${seen}); ` +
        'what is on the disk stays there, and it is tried again later',
    );
  }

  /** Somebody has to change something. */
  refused(answer: GcsAnswer, { failure, permission }: Subject): Fault {
    const { bucket } = this.access;
    const fault = (what: string, code: FaultCode = 'store_refused'): Fault =>
      new Fault(code, `${failure}: ${what} (${wordsOf(answer)})`);
    switch (answer.status) {
      case 401:
        return fault(
          `bucket ${bucket} does not accept the login: let the collector's service account use one of Google Cloud ` +
            '(Workload Identity), or mount credentials and name them in GOOGLE_APPLICATION_CREDENTIALS',
        );
      case 403:
        return fault(
          `the collector lacks ${permission} in bucket ${bucket}: give its service account the role ` +
            'roles/storage.objectUser there (with a customer key, also give the service agent of Cloud Storage ' +
            'roles/cloudkms.cryptoKeyEncrypterDecrypter on it)',
        );
      case 404:
        return fault(`there is no bucket ${bucket}: create it, or correct KCORDER_GCS_BUCKET`);
      default:
        return fault(`bucket ${bucket} refuses the request: correct the settings of the store`);
    }
  }
}

/** Of evidence nothing is shown. */
const seenOf = (answer: GcsAnswer): string =>
  answer.status === 206 ? `HTTP 206, ${answer.body.length} bytes that were not asked for` : wordsOf(answer);
