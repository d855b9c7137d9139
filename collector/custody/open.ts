import { setTimeout as sleep } from 'node:timers/promises';
import { causeChain, Fault } from '@kcorder/proto/fault.ts';
import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import type { EvidenceDirectory } from '../evidence/evidence-directory.ts';
import type { CustodyQueue } from '../journal/custody-queue.ts';
import type { Journal } from '../journal/open.ts';
import type { StorageJournal } from '../journal/storage-journal.ts';
import { openStore } from '../store/open.ts';
import type { EvidenceStore } from '../store/store.ts';
import { Archiver } from './archiver.ts';
import { Deletions } from './deletion.ts';
import { Images } from './images.ts';
import type { RetentionRules } from './retention.ts';
import { Retention } from './retention-rounds.ts';
import { watchRoom } from './room.ts';
import { Verifier } from './verifier.ts';

/** What becomes of sealed evidence. */
export interface Custody {
  readonly storage: StorageJournal;
  readonly store: EvidenceStore;
  readonly images: Images;
  readonly deletions: Deletions;
  readonly verifier: Verifier;
  /** Begins to keep, to verify, to delete what is expired, and to look at the room. */
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
  /** The room was looked at: the disk, then the quota, which may be 0 for no limit. */
  roomTaken(usedBytes: number, limitBytes: number): void;
}

/** Everything custody is made of. */
export interface CustodyDeps {
  readonly config: Config;
  readonly journal: Journal;
  readonly evidence: EvidenceDirectory;
  /** By name, what each schedule that is known keeps. Asked only after `start`. */
  schedules(): RetentionRules['schedules'];
  readonly events: CustodyEvents;
  readonly log: Logger;
}

/** The store, and how images are read, wherever they lie. */
interface Place {
  readonly store: EvidenceStore;
  readonly images: Images;
}

const closingMs = 2_000;

/** Opens the store and everything around it. Throws config_invalid, storage_failed. */
export async function openCustody(deps: CustodyDeps): Promise<Custody> {
  const { config, journal, evidence } = deps;
  const { storage, custodyQueue } = journal;
  const store = await openStore(config.store, config.dataDir);
  checkStored(store, custodyQueue);
  const place = { store, images: new Images(evidence, storage, store) };
  // Whoever deletes makes the archiver let go, and whatever is stored wakes the retention, which deletes.
  const archiver: Archiver = makeArchiver(deps, place, () => retention.wake());
  const deletions = makeDeletions(deps, place, (captureId) => archiver.letGo(captureId));
  const retention = makeRetention(deps, deletions);
  const verifier = makeVerifier(deps, place);
  let stopLooking = (): void => undefined;
  let stopWaking = (): void => undefined;
  return {
    storage,
    ...place,
    deletions,
    verifier,
    start: () => {
      stopWaking = journal.captures.watch(({ event }) => {
        if (event !== undefined) archiver.wake();
      });
      archiver.start();
      verifier.start();
      retention.start();
      stopLooking = lookAtRoom(deps);
    },
    close: async () => {
      stopWaking();
      stopLooking();
      const ended = Promise.all([archiver.close(), verifier.close(), retention.close(), deletions.close()]);
      // A store may take its time to answer; what it says then has no effect any more.
      await Promise.race([ended, sleep(closingMs, undefined, { ref: false })]);
    },
  };
}

/** Throws config_invalid when there is stored evidence that is not in this store. */
function checkStored(store: EvidenceStore, queue: CustodyQueue): void {
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
}

function makeArchiver(deps: CustodyDeps, { store, images }: Place, hasStored: () => void): Archiver {
  const { config, journal, evidence, events, log } = deps;
  return new Archiver({
    directory: evidence,
    store,
    record: journal.storage,
    queue: journal.custodyQueue,
    images,
    spoolMs: config.spoolMs,
    reserveBytes: config.reserveBytes,
    reservedBytes: () => journal.queries.reservedBytes(),
    events: {
      stored: ({ record: { captureId, imageBytes } }, { location, bytes }, seconds) => {
        hasStored();
        log.info({ capture: captureId, location, imageBytes, bytes, seconds }, 'evidence stored');
      },
      failed: (captureId, error, isNew) => {
        warn(log, captureId, 'evidence is not in the store yet', error);
        if (isNew) events.notStored(captureId);
      },
      damaged: damaged(deps),
    },
  });
}

function makeDeletions(
  { journal, evidence, events, log }: CustodyDeps,
  { store }: Place,
  letGo: (captureId: string) => Promise<void>,
): Deletions {
  return new Deletions({
    record: journal.storage,
    queue: journal.custodyQueue,
    store,
    directory: evidence,
    letGo,
    events: {
      deleted: (captureId, actor) => {
        events.deleted(captureId, actor);
        log.info({ capture: captureId, actor }, 'evidence deleted');
      },
      deletionFailed: (captureId, error) => warn(log, captureId, 'evidence could not be deleted', error),
    },
  });
}

function makeVerifier(deps: CustodyDeps, { store, images }: Place): Verifier {
  const { config, journal, evidence, log } = deps;
  return new Verifier({
    record: journal.storage,
    queue: journal.custodyQueue,
    images,
    directory: evidence,
    store,
    verifyMs: config.verifyMs,
    events: {
      verified: (captureId, bytes, seconds) => {
        log.info({ capture: captureId, bytes, seconds }, 'evidence verified');
      },
      damaged: damaged(deps),
      verificationFailed: (captureId, error) => warn(log, captureId, 'evidence could not be verified', error),
    },
  });
}

function makeRetention(deps: CustodyDeps, deletions: Deletions): Retention {
  const { config, journal, log } = deps;
  return new Retention({
    queue: journal.custodyQueue,
    deletions,
    rules: () => ({ schedules: deps.schedules(), retentionMs: config.retentionMs }),
    events: {
      retentionFailed: (captureId, error) => warn(log, captureId, 'expired evidence could not be deleted', error),
      clockMoved: (byMs) =>
        log.error(
          { byMs },
          'the clock was set: for a day no evidence is deleted because of its age. See that it is right',
        ),
    },
  });
}

function lookAtRoom({ config, journal: { queries }, events, log }: CustodyDeps): () => void {
  const { dataDir, reserveBytes, quotaBytes } = config;
  return watchRoom({
    ...{ dataDir, reserveBytes, quotaBytes },
    reservedBytes: () => queries.reservedBytes(),
    keptBytes: () => queries.places().reduce((sum, { bytes }) => sum + bytes, 0),
    looked: (usedBytes, limitBytes) => events.roomTaken(usedBytes, limitBytes),
    failed: (error) => log.warn({ causes: causeChain(error) }, 'the room left could not be told'),
  });
}

const damaged =
  ({ events, log }: CustodyDeps) =>
  (captureId: string, damage: string): void => {
    events.damaged(captureId, damage);
    log.error({ capture: captureId, damage }, 'evidence is not what was sealed');
  };

function warn(log: Logger, captureId: string, what: string, error: unknown): void {
  log.warn({ capture: captureId, causes: causeChain(error) }, what);
}
