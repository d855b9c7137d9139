import { setting } from '@kcorder/proto/settings.ts';
import * as v from 'valibot';
import {
  bucketName,
  bytes,
  bytesOrZero,
  count,
  daysOrZero,
  kmsKey,
  objectPrefix,
  oneOf,
  path,
  pathOrEmpty,
  seconds,
  secondsOrZero,
  shortText,
  urlsText,
} from './kinds.ts';

/** Captures, the store of their evidence, and what runs by itself. */
export const evidenceSettings = {
  dataDir: setting(
    'KCORDER_DATA_DIR',
    path,
    '/var/lib/kcorder',
    'directory of the journal, evidence and built symbols; one collector per directory',
  ),
  maxCaptures: setting(
    'KCORDER_MAX_CAPTURES',
    count,
    '4',
    'captures that run at the same time, over all nodes; further ones wait',
  ),
  stallMs: setting(
    'KCORDER_STALL_SECONDS',
    seconds,
    '900',
    'time without durable progress after which a capture ends as `partial`',
  ),
  orderMs: setting('KCORDER_ORDER_SECONDS', seconds, '600', 'time that an order waits for its agent'),
  reserveBytes: setting('KCORDER_RESERVE_BYTES', bytes, String(1 << 30), 'free disk space that no capture may use'),
  store: v.object({
    kind: setting(
      'KCORDER_STORE',
      oneOf('local', 'gcs'),
      'local',
      'store of evidence: `local`, below the data directory, or `gcs`, a bucket',
    ),
    bucket: setting('KCORDER_GCS_BUCKET', bucketName, '', 'with `gcs`: name of the bucket'),
    prefix: setting('KCORDER_GCS_PREFIX', objectPrefix, '', 'prefix of object names, without a slash at its ends'),
    kmsKey: setting(
      'KCORDER_GCS_KMS_KEY',
      kmsKey,
      '',
      '`projects/…/cryptoKeys/NAME`, the key for each object; none: the default key of the bucket',
    ),
    endpoint: setting(
      'KCORDER_GCS_ENDPOINT',
      urlsText,
      '',
      'https URL of another endpoint than that of Google; http to this machine needs no login',
    ),
  }),
  spoolMs: setting(
    'KCORDER_SPOOL_SECONDS',
    secondsOrZero,
    '0',
    'time that the plain image stays on the disk after its capture, before it is packed and stored',
  ),
  quotaBytes: setting(
    'KCORDER_QUOTA_BYTES',
    bytesOrZero,
    '0',
    'limit of all evidence, including what running captures may still take; 0: no limit',
  ),
  nodeQuotaBytes: setting('KCORDER_NODE_QUOTA_BYTES', bytesOrZero, '0', 'the same limit for each node'),
  retentionMs: setting(
    'KCORDER_RETENTION_DAYS',
    daysOrZero,
    '0',
    'age at which evidence that people asked for is deleted; 0: never. Schedules have their own retention',
  ),
  verifyMs: setting(
    'KCORDER_VERIFY_DAYS',
    daysOrZero,
    '30',
    'interval at which stored evidence is read and compared with its hashes; 0: never',
  ),
  schedulesFile: setting(
    'KCORDER_SCHEDULES_FILE',
    pathOrEmpty,
    '',
    'file of schedules as JSON, `{"schedules": […]}` with the keys of the value of the chart',
  ),
  webhooksFile: setting(
    'KCORDER_WEBHOOKS_FILE',
    pathOrEmpty,
    '',
    'file of webhooks to notify: [notifications.md](notifications.md#set-up)',
  ),
  clusterName: setting('KCORDER_CLUSTER_NAME', shortText, '', 'name of the cluster in notifications'),
};
