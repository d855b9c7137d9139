import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { CaptureState } from '../../collector/capture/capture.ts';
import type { CaptureEvent } from '../../collector/capture/event.ts';
import { next } from '../../collector/capture/next.ts';
import { AuditLog } from '../../collector/journal/audit-log.ts';
import { CaptureJournal, type JournaledCapture } from '../../collector/journal/capture-journal.ts';
import { encode } from '../../collector/journal/encode.ts';
import { custodyActions, StorageJournal } from '../../collector/journal/storage-journal.ts';
import { makeScratch } from '../../collector/testing/files.ts';

/** Where to look, and what was sent. */
export interface Scene {
  readonly dataDir: string;
  /** The image of which every stored image must be a prefix. */
  readonly imagePath: string;
  /** Everything that the programs logged. */
  readonly logs: string;
  /** Private keys in PEM that must not turn up anywhere. */
  readonly keys: readonly string[];
}

/** Throws an error that names the invariant, the capture and what is wrong with it. */
export async function checkInvariants(scene: Scene): Promise<void> {
  using scratch = makeScratch();
  for (const name of ['kcorder.db', 'kcorder.db-wal']) {
    if (existsSync(join(scene.dataDir, name))) copyFileSync(join(scene.dataDir, name), join(scratch.dir, name));
  }
  const database = new DatabaseSync(join(scratch.dir, 'kcorder.db'));
  try {
    const journal = new CaptureJournal(database);
    const [audit, storage] = [new AuditLog(database), new StorageJournal(database)];
    hold(audit.firstBroken() === undefined, `I4: the audit chain breaks at record ${audit.firstBroken()}`);
    for (const capture of journal.list({ limit: 1000 })) {
      checkTransitions(capture, audit);
      checkOutcome(capture);
      checkPlace(capture, storage);
      await checkImage(scene, capture);
    }
  } finally {
    database.close();
  }
  for (const key of scene.keys) {
    const secret = key.split('\n')[1] ?? key;
    hold(!scene.logs.includes(secret), 'I5: a private key was logged');
    hold(!readFileSync(join(scene.dataDir, 'kcorder.db')).includes(secret), 'I5: a private key is in the database');
  }
  hold(!scene.logs.includes('PRIVATE KEY'), 'I5: a private key was logged');
}

/** What the audit log tells of a capture besides its transitions. */
const besides: ReadonlySet<string> = new Set([
  'downloaded',
  'analysis_read',
  'analysis_asked',
  'analysed_again',
  'analysis_canceled',
  ...custodyActions,
]);

/** I3 and I4: the audit log tells every transition, each is one that the state machine allows, and together they give the state. */
function checkTransitions({ request, state }: JournaledCapture, audit: AuditLog): void {
  const [first, ...records] = audit.of(request.id);
  hold(first?.action === 'requested', `I4: capture ${request.id} has no record of its request`);
  let replayed: CaptureState = { phase: 'requested' };
  for (const { at, action, detail } of records.filter(({ action }) => !besides.has(action))) {
    // How an acquisition began is told once, when its upload was opened first.
    const begun = 'start' in replayed ? { start: replayed.start } : {};
    const step = next(replayed, { kind: action, at, ...begun, ...(detail as object) } as CaptureEvent);
    if (step.kind === 'refused') throw new Error(`I3: capture ${request.id}: ${step.reason}`);
    replayed = step.state;
  }
  hold(
    encode(replayed) === encode(state),
    `I4: capture ${request.id} is ${state.phase}, its records say ${replayed.phase}`,
  );
}

/** I7: an ending that is not complete says why. */
function checkOutcome({ request, state }: JournaledCapture): void {
  if (!('outcome' in state)) return;
  const { outcome } = state;
  const says = outcome.kind === 'complete' || outcome.kind === 'canceled' || outcome.detail.length > 20;
  hold(says, `I7: capture ${request.id} does not say why it is ${outcome.kind}`);
}

/** I8: a sealed image has a record of where it is. Here it stays in the spool, where no test has deleted it. */
function checkPlace({ request, state }: JournaledCapture, storage: StorageJournal): void {
  const bytes = 'evidence' in state ? state.evidence?.bytes : undefined;
  const record = storage.get(request.id);
  hold(
    record?.imageBytes === bytes,
    `I8: capture ${request.id} has ${bytes} bytes, its place says ${record?.imageBytes}`,
  );
  hold(record === undefined || record.place.kind === 'spool', `I8: the image of capture ${request.id} left the spool`);
}

/** I1, I2 and I6: what was acknowledged is on disk and is what was sent; nothing temporary is left of what has ended. */
async function checkImage(scene: Scene, { request, state, durableBytes }: JournaledCapture): Promise<void> {
  const directory = join(scene.dataDir, 'evidence', request.id);
  const names = existsSync(directory) ? readdirSync(directory) : [];
  const image = names.find((name) => name.endsWith('.lime')) ?? 'image.part';
  if (durableBytes > 0) {
    const { size } = statSync(join(directory, image));
    hold(size >= durableBytes, `I1: capture ${request.id} acknowledged ${durableBytes} bytes, ${size} are on disk`);
    const same = await samePrefix(join(directory, image), scene.imagePath, durableBytes);
    hold(same, `I2: capture ${request.id} holds other bytes than were sent`);
  }
  if (!('outcome' in state) || state.phase === 'sealing') return;
  const left = names.filter((name) => name.endsWith('.part'));
  hold(left.length === 0, `I6: capture ${request.id} has ended and left ${left.join(', ')}`);
  if (state.evidence === undefined) return;
  const { bytes, sha256 } = state.evidence;
  const stored = readFileSync(join(directory, image));
  hold(
    stored.length === bytes,
    `I2: capture ${request.id} has ${stored.length} bytes on disk, its record says ${bytes}`,
  );
  hold(createHash('sha256').update(stored).digest('hex') === sha256, `I2: capture ${request.id} has another SHA-256`);
  hold((statSync(join(directory, image)).mode & 0o222) === 0, `I2: the image of capture ${request.id} can be written`);
  const complete = state.outcome.kind === 'complete';
  hold(
    complete === (image === 'image.lime'),
    `I7: capture ${request.id} is ${state.outcome.kind}, its image is ${image}`,
  );
  hold(!complete || bytes === statSync(scene.imagePath).size, `I2: capture ${request.id} is complete and too short`);
}

async function samePrefix(a: string, b: string, bytes: number): Promise<boolean> {
  await using left = await open(a, 'r');
  await using right = await open(b, 'r');
  const buffers = [Buffer.alloc(4 << 20), Buffer.alloc(4 << 20)] as const;
  for (let offset = 0; offset < bytes; offset += buffers[0].length) {
    const length = Math.min(buffers[0].length, bytes - offset);
    const read = [await left.read(buffers[0], 0, length, offset), await right.read(buffers[1], 0, length, offset)];
    if (read.some(({ bytesRead }) => bytesRead !== length)) return false;
    if (!buffers[0].subarray(0, length).equals(buffers[1].subarray(0, length))) return false;
  }
  return true;
}

function hold(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new Error(otherwise);
}
