import { Fault } from '@kcorder/proto/fault.ts';
import { checkRange, type RangeSource } from '../range-source.ts';
import type { StoredObject } from '../store.ts';
import type { GcsApi } from './api.ts';
import { type GcsAnswer, mostAnswerBytes } from './request.ts';

/** Reads ranges of one generation of an object. */
export class GcsRanges implements RangeSource {
  readonly sizeBytes: number;
  readonly #api: GcsApi;
  readonly #object: StoredObject;
  readonly #url: string;

  constructor(api: GcsApi, key: string, object: StoredObject) {
    this.sizeBytes = object.bytes;
    this.#api = api;
    this.#object = object;
    this.#url = api.objectUrl(key, { alt: 'media', generation: object.generation });
  }

  async read(offset: number, length: number, signal?: AbortSignal): Promise<Buffer> {
    const { location, generation } = this.#object;
    checkRange(offset, length, this.sizeBytes);
    if (length === 0) return Buffer.alloc(0);
    const subject = { failure: `${location} cannot be read`, permission: 'storage.objects.get' };
    // Identity: bytes as they are stored, so that offsets are those of the object.
    const headers = { range: `bytes=${offset}-${offset + length - 1}`, 'accept-encoding': 'identity' };
    // A 200 has the whole object, which is taken where that is not much.
    const mostBytes = Math.max(length, Math.min(this.sizeBytes, mostAnswerBytes));
    const request = { method: 'GET', url: this.#url, headers, mostBytes } as const;
    const isOther = ({ headers: told }: GcsAnswer) => (told.get('x-goog-generation') ?? generation) !== generation;
    const isWhole = (each: GcsAnswer) => isOther(each) || rangeOf(each, offset, length).length === length;
    const answer = await this.#api.ask(request, subject, signal, isWhole);
    switch (answer.status) {
      case 404:
      case 412:
      case 416:
        throw missingObject(this.#object, 'it is not there');
      case 200:
      case 206:
        break;
      default:
        throw this.#api.refused(answer, subject);
    }
    if (isOther(answer))
      throw missingObject(this.#object, `generation ${answer.headers.get('x-goog-generation')} is in its place`);
    return rangeOf(answer, offset, length);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

const rangeOf = ({ status, body }: GcsAnswer, offset: number, length: number): Buffer =>
  status === 200 ? body.subarray(offset, offset + length) : body;

/** What was stored is not there any more. */
export function missingObject({ location, generation }: StoredObject, why: string): Fault {
  return new Fault(
    'evidence_missing',
    `${location}#${generation} is gone: ${why}; somebody or a rule of the bucket removed it: look at the bucket's audit log, and for an older version of the object`,
  );
}
