import { Fault } from '@kcorder/proto/fault.ts';
import { checkStep, type Rehearsal } from '../check-store.ts';
import type { CheckedStep } from '../store.ts';
import type { GcsApi } from './api.ts';
import { jsonOf } from './request.ts';

interface BucketJson {
  location?: string;
  storageClass?: string;
  retentionPolicy?: { retentionPeriod?: string; isLocked?: boolean };
  versioning?: { enabled?: boolean };
  softDeletePolicy?: { retentionDurationSeconds?: string };
  objectRetention?: { mode?: string };
  defaultEventBasedHold?: boolean;
}

/** Whether the bucket is there, and what it does with objects. Only what cannot be reached fails. */
export async function checkBucket(api: GcsApi, signal: AbortSignal): Promise<CheckedStep> {
  const { bucket } = api.access;
  const subject = { failure: `bucket ${bucket} cannot be looked at`, permission: 'storage.buckets.get' };
  let isUnseen = false;
  const step = await checkStep('bucket', async () => {
    const answer = await api.ask({ method: 'GET', url: api.bucketUrl('') }, subject, signal);
    if (answer.status === 403) {
      isUnseen = true;
      return (
        `${bucket} does not show its settings: for its location and retention to be told here, give the collector's service account ` +
        'storage.buckets.get (roles/storage.legacyBucketReader); nothing else needs it'
      );
    }
    if (answer.status !== 200) throw api.refused(answer, subject);
    return describe(bucket, (jsonOf(answer) ?? {}) as BucketJson);
  });
  return isUnseen ? { ...step, state: 'skipped' } : step;
}

/** Whether the server itself refuses to replace an object, and carries what is written beside it. */
export async function* checkObjectRules(
  api: GcsApi,
  key: string,
  kmsKey: string,
  { file }: Rehearsal,
  signal: AbortSignal,
): AsyncIterable<CheckedStep> {
  yield await checkStep('overwrite', async () => {
    const subject = { failure: `${api.location(key)} cannot be tried`, permission: 'storage.objects.create' };
    const url = api.sessionsUrl({ uploadType: 'media', name: key, ifGenerationMatch: '0' });
    const headers = { 'content-type': 'application/octet-stream' };
    const answer = await api.ask({ method: 'POST', url, headers, body: Buffer.from('x') }, subject, signal);
    if (answer.status === 412) return 'is refused by the server (412)';
    if (answer.status !== 200) throw api.refused(answer, subject);
    throw new Fault('store_refused', 'the server ignores ifGenerationMatch: do not use it, it can lose evidence');
  });
  yield await checkStep('metadata', async () => {
    const object = await api.object(key, signal);
    if (Object.entries(file.metadata).every(([name, value]) => object?.metadata[name] === value))
      return 'is kept beside the object';
    throw new Fault('store_refused', 'what was written beside the object is not there: is the endpoint what it seems?');
  });
  if (kmsKey === '') {
    yield { step: 'customer key', state: 'skipped', detail: "none is set; the bucket's own default holds" };
    return;
  }
  yield await checkStep('customer key', async () => {
    const used = (await api.object(key, signal))?.kmsKey ?? '';
    if (used.startsWith(kmsKey)) return `the object is encrypted with ${used}`;
    throw new Fault(
      'store_refused',
      `the object is encrypted with ${used === '' ? 'a key of Google' : used} and not with ${kmsKey}: correct KCORDER_GCS_KMS_KEY or the endpoint`,
    );
  });
}

function describe(bucket: string, json: BucketJson): string {
  const { retentionPolicy, objectRetention, softDeletePolicy } = json;
  const seconds = Number(retentionPolicy?.retentionPeriod ?? 0);
  const softSeconds = Number(softDeletePolicy?.retentionDurationSeconds ?? 0);
  return [
    `${bucket} is in ${json.location ?? 'a place it does not tell'}, class ${json.storageClass ?? 'unknown'}`,
    seconds === 0
      ? 'no retention policy'
      : `every object is kept for ${seconds} s${retentionPolicy?.isLocked ? ', locked' : ''}: deletion before that is refused`,
    ...(objectRetention?.mode === 'Enabled' ? ['objects may have a retention of their own'] : []),
    ...(json.defaultEventBasedHold
      ? ['every new object is on an event-based hold, which somebody has to release']
      : []),
    json.versioning?.enabled ? 'versions are kept: what is deleted stays as an old version' : 'no versions',
    ...(softSeconds > 0 ? [`what is deleted can be restored for ${softSeconds} s, and costs as long`] : []),
  ].join('; ');
}
