import { type FileHandle, open } from 'node:fs/promises';
import { Fault } from '@kcorder/proto/fault.ts';
import type { FileToKeep } from '../store.ts';
import type { GcsApi, Subject } from './api.ts';
import { base64OfHex, type GcsObject, readObject } from './object.ts';
import { type GcsAnswer, isPassing, jsonOf, NoAnswer, wordsOf } from './request.ts';

/** A multiple of 256 KiB, as the API wants all but the last chunk to be. */
const chunkBytes = 8 << 20;
/** Sessions of one upload: each begins at the first byte. */
const mostSessions = 4;

/** How a session stands after an answer. */
type Standing =
  | { readonly kind: 'more'; readonly offset: number }
  | { readonly kind: 'stored'; readonly object: GcsObject }
  | { readonly kind: 'exists' }
  | { readonly kind: 'gone'; readonly why: string }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'refused' };

/** A file on its way. */
interface OpenUpload {
  readonly handle: FileHandle;
  readonly file: FileToKeep;
  readonly subject: Subject;
}

/**
 * Uploads files in resumable sessions. What the server has is its own word only: after anything but a clear answer it is asked for its offset,
 * and the upload goes on from there, out of the file. An upload that fails keeps its session, in memory only, so that the next attempt goes on.
 */
export class Uploads {
  readonly #api: GcsApi;
  readonly #kmsKey: string;
  /** Addresses of sessions by key and content: secrets. */
  readonly #sessions = new Map<string, string>();

  constructor(api: GcsApi, kmsKey: string) {
    this.#api = api;
    this.#kmsKey = kmsKey;
  }

  /** Makes an object where none is: what the store says of it, or `exists`. Throws storage_failed, store_refused, the signal's reason. */
  async upload(key: string, file: FileToKeep, signal: AbortSignal): Promise<GcsObject | 'exists'> {
    const subject = { failure: `${this.#api.location(key)} cannot be stored`, permission: 'storage.objects.create' };
    const id = `${key} ${file.bytes} ${file.crc32c}`;
    await using handle = await openFile(file, subject);
    let why = '';
    for (let begun = 0; begun < mostSessions; ) {
      const known = this.#sessions.get(id);
      const session = known ?? (await this.#begin(key, file, subject, signal));
      if (known === undefined) begun += 1;
      if (session === 'exists') return session;
      this.#sessions.set(id, session);
      const ending = await this.#run(session, known !== undefined, { handle, file, subject }, signal);
      this.#sessions.delete(id);
      if (ending.kind === 'stored') return ending.object;
      if (ending.kind === 'exists') return 'exists';
      why = ending.why;
    }
    throw this.#api.failed(
      new NoAnswer(`${mostSessions} upload sessions ended before the whole was there: ${why}`),
      subject,
    );
  }

  async #begin(key: string, file: FileToKeep, subject: Subject, signal: AbortSignal): Promise<string> {
    const query = { uploadType: 'resumable', name: key, ifGenerationMatch: '0' };
    const resource = {
      contentType: 'application/octet-stream',
      // With it the server itself refuses other bytes.
      crc32c: base64OfHex(file.crc32c),
      metadata: file.metadata,
    };
    const answer = await this.#api.ask(
      {
        method: 'POST',
        url: this.#api.sessionsUrl(this.#kmsKey === '' ? query : { ...query, kmsKeyName: this.#kmsKey }),
        headers: {
          'content-type': 'application/json; charset=utf-8',
          'x-upload-content-type': 'application/octet-stream',
          'x-upload-content-length': String(file.bytes),
        },
        body: Buffer.from(JSON.stringify(resource)),
      },
      subject,
      signal,
      ({ headers }) => headers.has('location'),
    );
    if (answer.status === 412) return 'exists';
    const session = answer.headers.get('location');
    if (answer.status !== 200 || session === null) throw this.#api.refused(answer, subject);
    return session;
  }

  async #run(
    session: string,
    isOld: boolean,
    upload: OpenUpload,
    signal: AbortSignal,
  ): Promise<Standing & { kind: 'stored' | 'exists' | 'gone' }> {
    const { file, subject } = upload;
    const attempts = this.#api.attempts();
    let farthest = 0;
    let offset = isOld ? undefined : 0;
    for (;;) {
      const answer = await this.#send(session, offset, upload, signal);
      const standing = standingAfter(answer, file.bytes);
      switch (standing.kind) {
        case 'stored':
        case 'exists':
        case 'gone':
          return standing;
        case 'refused':
          throw this.#api.refused(answer as GcsAnswer, subject);
        case 'more':
          offset = standing.offset;
          if (offset > farthest) {
            farthest = offset;
            attempts.renew();
          } else if (!(await attempts.wait(signal))) throw this.#api.failed(answer, subject);
          break;
        case 'unknown':
          offset = undefined;
          if (!(await attempts.wait(signal))) throw this.#api.failed(answer, subject);
      }
    }
  }

  /** Sends the chunk at an offset, or asks for the offset. */
  async #send(
    session: string,
    offset: number | undefined,
    upload: OpenUpload,
    signal: AbortSignal,
  ): Promise<GcsAnswer | NoAnswer> {
    const chunk = offset === undefined ? Buffer.alloc(0) : await readChunk(upload, offset);
    const range = offset === undefined || chunk.length === 0 ? '*' : `${offset}-${offset + chunk.length - 1}`;
    const headers = { 'content-range': `bytes ${range}/${upload.file.bytes}`, 'content-length': String(chunk.length) };
    return await this.#api.try({ method: 'PUT', url: session, headers, body: chunk }, signal);
  }
}

function standingAfter(answer: GcsAnswer | NoAnswer, bytes: number): Standing {
  if (answer instanceof NoAnswer || isPassing(answer.status)) return { kind: 'unknown' };
  switch (answer.status) {
    case 200:
    case 201: {
      const object = readObject(jsonOf(answer));
      return object === undefined ? { kind: 'unknown' } : { kind: 'stored', object };
    }
    case 308: {
      const offset = offsetOf(answer.headers.get('range'));
      return offset <= bytes ? { kind: 'more', offset } : { kind: 'gone', why: 'the server has more than the file' };
    }
    case 401:
    case 403:
      return { kind: 'refused' };
    case 412:
      return { kind: 'exists' };
    default:
      // 404 and 410 are what the API says; after any other refusal the session is of no use either.
      return { kind: 'gone', why: wordsOf(answer) };
  }
}

/** The bytes that the server has, of its header `Range: bytes=0-LAST`. */
function offsetOf(range: string | null): number {
  const last = /^bytes=0-(\d{1,15})$/.exec(range ?? '')?.[1];
  return last === undefined ? 0 : Number(last) + 1;
}

async function openFile({ path }: FileToKeep, { failure }: Subject): Promise<FileHandle> {
  return await open(path, 'r').catch((cause: unknown) => {
    throw new Fault('storage_failed', `${failure}: ${path} cannot be opened; look at the disk`, { cause });
  });
}

async function readChunk({ handle, file, subject: { failure } }: OpenUpload, offset: number): Promise<Buffer> {
  const chunk = Buffer.allocUnsafe(Math.min(chunkBytes, file.bytes - offset));
  for (let at = 0; at < chunk.length; ) {
    const { bytesRead } = await handle.read(chunk, at, chunk.length - at, offset + at).catch((cause: unknown) => {
      throw new Fault('storage_failed', `${failure}: ${file.path} cannot be read; look at the disk`, { cause });
    });
    if (bytesRead === 0)
      throw new Fault(
        'storage_failed',
        `${failure}: ${file.path} ends before its ${file.bytes} bytes; look at the disk`,
      );
    at += bytesRead;
  }
  return chunk;
}
