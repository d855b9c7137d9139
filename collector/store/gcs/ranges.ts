import { Fault } from '@kcorder/proto/fault.ts';
import { checkRange, type RangeSource } from '../range-source.ts';
import type { StoredObject } from '../store.ts';
import type { GcsApi } from './api.ts';

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
    const answer = await this.#api.ask({ method: 'GET', url: this.#url, headers }, subject, signal);
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
    const body = answer.status === 200 ? answer.body.subarray(offset, offset + length) : answer.body;
    const other = answer.headers.get('x-goog-generation') ?? generation;
    if (other !== generation) throw missingObject(this.#object, `generation ${other} is in its place`);
    if (body.length !== length)
      throw missingObject(this.#object, `of ${length} bytes at ${offset} only ${body.length} are there`);
    return body;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

/** What was stored is not there any more. */
export function missingObject({ location, generation }: StoredObject, why: string): Fault {
  return new Fault(
    'evidence_missing',
    `${location}#${generation} is gone: ${why}; somebody or a rule of the bucket removed it: look at the bucket's audit log, and for an older version of the object`,
  );
}
