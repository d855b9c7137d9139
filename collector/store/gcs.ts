import { Storage } from '@google-cloud/storage';
import { Fault } from '@kcorder/proto/fault.ts';
import { checkContents } from './check-store.ts';
import { type GcsAccess, GcsApi } from './gcs/api.ts';
import { checkBucket, checkObjectRules } from './gcs/check.ts';
import type { GcsObject } from './gcs/object.ts';
import { type Pace, usualPace } from './gcs/pace.ts';
import { GcsRanges, missingObject } from './gcs/ranges.ts';
import { type GcsAnswer, jsonOf, NoAnswer, readAnswer, type Send } from './gcs/request.ts';
import { Uploads } from './gcs/upload.ts';
import { checkObjectName, isObjectName } from './object-name.ts';
import type { RangeSource } from './range-source.ts';
import type { CheckedStep, EvidenceStore, FileToKeep, ObjectName, StoredObject } from './store.ts';

const google = 'https://storage.googleapis.com';

/** Which bucket. */
export interface GcsBucket {
  readonly bucket: string;
  /** Before each object's name, without a slash at its end; may be empty. */
  readonly prefix: string;
  /** Of Cloud KMS; empty: the bucket's own default. */
  readonly kmsKey: string;
  /** Empty: Google's. http is spoken without a login. */
  readonly endpoint: string;
}

/** Where in a bucket, and how. */
interface GcsSettings {
  readonly access: GcsAccess;
  /** Without a slash at its end; may be empty. */
  readonly prefix: string;
  readonly folder: 'captures' | 'store-check';
  /** Empty: the bucket's default. */
  readonly kmsKey: string;
  /** For the files of a check. */
  readonly scratchDir: string;
}

/** Opens a bucket of Google Cloud Storage, with the application default credentials. Asks nothing yet. */
export function openGcs(settings: GcsBucket, scratchDir: string, pace: Pace = usualPace): GcsStore {
  const { bucket, prefix, kmsKey } = settings;
  const endpoint = (settings.endpoint === '' ? google : settings.endpoint).replace(/\/+$/, '');
  const access = { send: connect(endpoint, pace.answerMs), endpoint, bucket, pace };
  return new GcsStore({ access, prefix, folder: 'captures', kmsKey, scratchDir });
}

/** Evidence in a bucket: PREFIX/captures/ID/FILE. */
export class GcsStore implements EvidenceStore {
  readonly kind = 'gcs';
  readonly place: string;
  readonly #settings: GcsSettings;
  readonly #api: GcsApi;
  readonly #uploads: Uploads;
  readonly #folder: string;

  constructor(settings: GcsSettings) {
    const { access, prefix, folder, kmsKey } = settings;
    this.#settings = settings;
    this.#api = new GcsApi(access);
    this.#uploads = new Uploads(this.#api, kmsKey);
    this.#folder = `${prefix === '' ? '' : `${prefix}/`}${folder}/`;
    this.place = this.#api.location(prefix);
  }

  locationOf(name: ObjectName): string {
    return this.#api.location(this.#key(name));
  }

  async put(name: ObjectName, file: FileToKeep, signal: AbortSignal): Promise<StoredObject> {
    const key = this.#key(name);
    for (let attempt = 0; attempt < 3; attempt++) {
      const before = await this.#api.object(key, signal);
      if (before !== undefined) return this.#sameAs(name, before, file);
      const made = await this.#uploads.upload(key, file, signal);
      if (made === 'exists') continue;
      if (isSame(made, file)) return this.#stored(name, made);
      // The answer of an upload can be damaged on its way; what the store says of the object when it is asked again counts.
      const after = await this.#api.object(key, signal);
      if (after !== undefined && isSame(after, file)) return this.#stored(name, after);
      if (after?.generation !== made.generation) continue;
      // Where the store keeps it, the next look says what is there.
      await this.#remove(key, { ifGenerationMatch: made.generation }, signal).catch(() => signal.throwIfAborted());
    }
    throw new Fault(
      'storage_failed',
      `${this.#api.location(key)} came out with other bytes than ${file.path} in every attempt: check the memory and the disk of this machine; ` +
        'what is on the disk stays there, and it is tried again later',
    );
  }

  async find(name: ObjectName): Promise<StoredObject | undefined> {
    const object = await this.#api.object(this.#key(name));
    return object && this.#stored(name, object);
  }

  async open(object: StoredObject): Promise<RangeSource> {
    const key = this.#key(object);
    const there = await this.#api.object(key);
    if (there === undefined) throw missingObject(object, 'it is not there');
    if (there.generation !== object.generation || there.bytes !== object.bytes)
      throw missingObject(object, `generation ${there.generation} of ${there.bytes} bytes is in its place`);
    return new GcsRanges(this.#api, key, object);
  }

  async delete(name: ObjectName): Promise<void> {
    await this.#remove(this.#key(name), {});
  }

  async *list(): AsyncIterable<ObjectName> {
    const subject = { failure: `${this.place} cannot be listed`, permission: 'storage.objects.list' };
    const query = { prefix: this.#folder, fields: 'items(name),nextPageToken' };
    let pageToken = '';
    do {
      const url = this.#api.bucketUrl('/o', pageToken === '' ? query : { ...query, pageToken });
      const isList = (each: GcsAnswer): boolean => pageOf(each) !== undefined;
      const answer = await this.#api.ask({ method: 'GET', url }, subject, undefined, isList);
      if (answer.status !== 200) throw this.#api.refused(answer, subject);
      const page = pageOf(answer);
      for (const name of page?.names ?? []) {
        const [captureId = '', file = '', more] = name.slice(this.#folder.length).split('/');
        const object = { captureId, file };
        if (more === undefined && isObjectName(object)) yield object;
      }
      pageToken = page?.nextPageToken ?? '';
    } while (pageToken !== '');
  }

  async *check(signal: AbortSignal): AsyncIterable<CheckedStep> {
    const bucket = await checkBucket(this.#api, signal);
    yield bucket;
    if (bucket.state === 'failed') return;
    const rehearsed = new GcsStore({ ...this.#settings, folder: 'store-check' });
    yield* checkContents(rehearsed, this.#settings.scratchDir, signal, (rehearsal) =>
      checkObjectRules(this.#api, rehearsed.#key(rehearsal.name), this.#settings.kmsKey, rehearsal, signal),
    );
  }

  #key(name: ObjectName): string {
    checkObjectName(name);
    return `${this.#folder}${name.captureId}/${name.file}`;
  }

  #stored({ captureId, file }: ObjectName, { bytes, crc32c, generation }: GcsObject): StoredObject {
    return { captureId, file, location: this.locationOf({ captureId, file }), bytes, crc32c, generation };
  }

  #sameAs(name: ObjectName, there: GcsObject, file: FileToKeep): StoredObject {
    const stored = this.#stored(name, there);
    if (isSame(there, file)) return stored;
    throw new Fault(
      'evidence_conflict',
      `${stored.location} is there already with other bytes (${there.bytes}, CRC-32C ${there.crc32c}) than ${file.path} ` +
        `(${file.bytes}, CRC-32C ${file.crc32c}); neither is touched: find out who wrote the object, and move it away if it is not evidence`,
    );
  }

  async #remove(key: string, query: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<void> {
    const location = this.#api.location(key);
    const subject = { failure: `${location} cannot be deleted`, permission: 'storage.objects.delete' };
    const answer = await this.#api.ask({ method: 'DELETE', url: this.#api.objectUrl(key, query) }, subject, signal);
    if ((answer.status >= 200 && answer.status < 300) || answer.status === 412 || this.#api.isAbsent(answer)) return;
    const refused = this.#api.refused(answer, subject);
    if (answer.status !== 403) throw refused;
    const object = await this.#api.object(key, signal).catch((error: unknown) => {
      throw Fault.from(error).code === 'store_refused' ? refused : error;
    });
    const retained = object?.retained;
    if (retained === undefined) throw refused;
    throw new Fault('evidence_retained', `${location} is ${retained}: the bucket keeps it, try again after that`);
  }
}

/** A page of a list; undefined when it is none. */
function pageOf(answer: GcsAnswer): { names: string[]; nextPageToken: string } | undefined {
  const page = jsonOf(answer) as { items?: unknown; nextPageToken?: unknown } | null | undefined;
  const { items = [], nextPageToken = '' } = page ?? {};
  if (!page || Array.isArray(page) || !Array.isArray(items) || typeof nextPageToken !== 'string') return undefined;
  const names = items.map((item: { name?: unknown } | null) => item?.name);
  return names.every((name) => typeof name === 'string') ? { names, nextPageToken } : undefined;
}

const isSame = (object: GcsObject, file: FileToKeep): boolean =>
  object.bytes === file.bytes && object.crc32c === file.crc32c;

/**
 * The SDK's login and HTTP client, for one request at a time. Its own uploads are not used: they read a stream that cannot go back to the offset
 * of the server, and take a lost final answer for a failure. Nothing of its errors goes out: their texts and fields hold addresses and tokens.
 */
function connect(endpoint: string, timeoutMs: number): Send {
  const { authClient: auth } = new Storage({ apiEndpoint: endpoint });
  const isOpen = endpoint.startsWith('http:');
  // Any client has the transport, also one without credentials.
  const { transporter } = auth.fromAPIKey('none');
  return async ({ method, url, headers, body, mostBytes }, signal) => {
    // Also the address of a session, which the server chooses.
    if (!isOpen && !url.startsWith('https:'))
      throw new Fault('store_refused', `${endpoint} leads to an address without TLS: correct KCORDER_GCS_ENDPOINT`);
    const login = isOpen ? new Headers() : await auth.getRequestHeaders(url).catch(failLogin);
    for (const [key, value] of Object.entries(headers ?? {})) login.set(key, value);
    try {
      const response = await transporter.request<AsyncIterable<Uint8Array> | undefined>({
        method,
        url,
        headers: login,
        ...(body && { data: body }),
        ...(signal && { signal }),
        ...(isOpen && { noProxy: [new URL(url).origin] }),
        timeout: timeoutMs,
        retry: false,
        // 308 is an answer of the API; a redirect would take the login elsewhere.
        redirect: 'manual',
        responseType: 'stream',
        validateStatus: () => true,
      });
      // 401: what is remembered of the login is no good any more.
      if (response.status === 401) auth.cachedCredential = null;
      return {
        status: response.status,
        headers: response.headers,
        body: await readAnswer(response.data ?? [], mostBytes),
      };
    } catch (error) {
      if (error instanceof NoAnswer) throw error;
      const reason = reasonOf(error);
      if (/CERT|VERIFY|ISSUER/.test(reason))
        throw new Fault(
          'store_refused',
          `the certificate of ${endpoint} is not trusted (${reason}): name its authority in NODE_EXTRA_CA_CERTS`,
        );
      throw new NoAnswer(`no complete answer, ${reason}`);
    }
  };
}

function failLogin(error: unknown): never {
  const status = (error as { response?: { status?: number } }).response?.status;
  const isLacking = error instanceof Error && /default credentials/i.test(error.message);
  if (!isLacking && (status === undefined || status === 408 || status === 429 || status >= 500))
    throw new NoAnswer(`no login, ${reasonOf(error)}`);
  throw new Fault(
    'store_refused',
    `there is no login for Google Cloud Storage (${isLacking ? 'no credentials were found' : `HTTP ${status}`}): let the collector's service account ` +
      'use one of Google Cloud (Workload Identity), or mount credentials and name them in GOOGLE_APPLICATION_CREDENTIALS',
  );
}

/** The code of an error or of what caused it: the rest of it may hold secrets. */
function reasonOf(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    const code = 'code' in at ? at.code : undefined;
    if (typeof code === 'string' && /^[A-Z][A-Z0-9_]{2,40}$/.test(code)) return code;
  }
  return error instanceof Error && /timeout|abort/i.test(`${error.name} ${error.message}`) ? 'TIMEOUT' : 'BROKEN';
}
