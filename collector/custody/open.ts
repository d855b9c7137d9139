import { setTimeout as sleep } from 'node:timers/promises';
import { causeChain, Fault } from '@kcorder/proto/fault.ts';
import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import type { EvidenceDirectory } from '../evidence/evidence-directory.ts';
import type { CaptureJournal } from '../journal/captures.ts';
import { CustodyQueue } from '../journal/custody-queue.ts';
import type { Database } from '../journal/database.ts';
import { MetricQueries } from '../journal/metric-queries.ts';
import type { Reanalyses } from '../journal/reanalyses.ts';
import { StorageJournal } from '../journal/storage.ts';
import { openStore } from '../store/open.ts';
import type { EvidenceStore } from '../store/store.ts';
import { Archiver } from './archiver.ts';
import { Deletions } from './deletion.ts';
import { Images } from './images.ts';
import type { RetentionRules } from './retention.ts';
import { Retention } from './retention-rounds.ts';
import { Verifier } from './verifier.ts';

/** What becomes of sealed evidence. */
export interface Custody {
  readonly storage: StorageJournal;
  readonly store: EvidenceStore;
  readonly images: Images;
  readonly deletions: Deletions;
  readonly verifier: Verifier;
  /** Begins to keep, to verify and to delete what is expired. */
  start(): void;
  /** Ends within a second or so; whatever was begun is done again after a restart. */
  close(): Promise<void>;
}

/** What custody tells the rest of the collector: metrics and notifications. The log has it already. */
export interface CustodyEvents {
  /** An image could not be stored, for the first time; it is tried again. */
  notStored(captureId: string): void;
  damaged(captureId: string, damage: string): void;
  deleted(captureId: string, actor: string): void;
}

/** What custody is told. */
export interface CustodyDeps {
  readonly config: Config;
  readonly database: Database;
  readonly journal: CaptureJournal;
  readonly again: Reanalyses;
  readonly directory: EvidenceDirectory;
  /** By name, what each schedule that is known keeps. */
  schedules(): RetentionRules['schedules'];
  readonly events: CustodyEvents;
  readonly log: Logger;
}

const closingMs = 2_000;

/** Opens the store and everything around it. Throws config_invalid, storage_failed. */
export async function openCustody(deps: CustodyDeps): Promise<Custody> {
  const { config, database, journal, again, directory, events, log } = deps;
  const storage = new StorageJournal(database, again);
  const queue = new CustodyQueue(database);
  const queries = new MetricQueries(database);
  const store = await openStore(config.store, config.dataDir);
  // A directory may be moved as a whole; a bucket is what it is.
  const elsewhere = queue
    .outermost()
    .find((object) =>
      store.kind === 'gcs' ? store.locationOf(object) !== object.location : object.location.startsWith('gs://'),
    );
  if (elsewhere !== undefined)
    throw new Fault(
      'config_invalid',
      `there is stored evidence that is not in ${store.place}, such as ${elsewhere.location}: set KCORDER_STORE, its bucket and prefix to what they were`,
    );
  const images = new Images(directory, storage, store);
  const failed = (captureId: string, what: string, error: unknown): void => {
    log.warn({ capture: captureId, causes: causeChain(error) }, what);
  };
  const damaged = (captureId: string, damage: string): void => {
    events.damaged(captureId, damage);
    log.error({ capture: captureId, damage }, 'evidence is not what was sealed');
  };
  const archiver = new Archiver({
    directory,
    store,
    record: storage,
    queue,
    images,
    spoolMs: config.spoolMs,
    reserveBytes: config.reserveBytes,
    reservedBytes: () => queries.reservedBytes(),
    events: {
      stored: ({ record: { captureId, imageBytes } }, { location, bytes }, seconds) => {
        retention.wake();
        log.info({ capture: captureId, location, imageBytes, bytes, seconds }, 'evidence stored');
      },
      failed: (captureId, error, isNew) => {
        failed(captureId, 'evidence is not in the store yet', error);
        if (isNew) events.notStored(captureId);
      },
      damaged,
    },
  });
  const deletions = new Deletions({
    record: storage,
    queue,
    store,
    directory,
    letGo: (captureId) => archiver.letGo(captureId),
    events: {
      deleted: (captureId, actor) => {
        events.deleted(captureId, actor);
        log.info({ capture: captureId, actor }, 'evidence deleted');
      },
      deletionFailed: (captureId, error) => failed(captureId, 'evidence could not be deleted', error),
    },
  });
  const verifier = new Verifier({
    record: storage,
    queue,
    images,
    directory,
    store,
    verifyMs: config.verifyMs,
    events: {
      verified: (captureId, bytes, seconds) => {
        log.info({ capture: captureId, bytes, seconds }, 'evidence verified');
      },
      damaged,
      verificationFailed: (captureId, error) => failed(captureId, 'evidence could not be verified', error),
    },
  });
  const retention = new Retention({
    queue,
    deletions,
    rules: () => ({ schedules: deps.schedules(), retentionMs: config.retentionMs }),
    events: {
      retentionFailed: (captureId, error) => failed(captureId, 'expired evidence could not be deleted', error),
      clockMoved: (byMs) =>
        log.error(
          { byMs },
          'the clock was set: for a day no evidence is deleted because of its age. See that it is right',
        ),
    },
  });
  let stopWaking = (): void => undefined;
  return {
    storage,
    store,
    images,
    deletions,
    verifier,
    start: () => {
      stopWaking = journal.watch(({ event }) => {
        if (event !== undefined) archiver.wake();
      });
      archiver.start();
      verifier.start();
      retention.start();
    },
    close: async () => {
      stopWaking();
      const ended = Promise.all([archiver.close(), verifier.close(), retention.close(), deletions.close()]);
      // A store may take its time to answer; what it says then has no effect any more.
      await Promise.race([ended, sleep(closingMs, undefined, { ref: false })]);
    },
  };
}
