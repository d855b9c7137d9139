import { statfs } from 'node:fs/promises';
import { causeChain } from '@kcorder/proto/fault.ts';
import { storeFilling } from '../notify/event.ts';
import type { Told } from './told.ts';

/** The room for evidence, in bytes. */
export interface Room {
  readonly dataDir: string;
  readonly reserveBytes: number;
  /** 0: no limit. */
  readonly quotaBytes: number;
}

const everyMs = 60_000;

/** Looks every minute whether disk or quota are filling, and tells so. Returns the function that stops it. */
export function whenStoreFills(room: Room, { journal, notifier, log }: Told): () => void {
  const look = async (): Promise<void> => {
    const { bsize, blocks, bavail } = await statfs(room.dataDir);
    const reserved = journal.queries.reservedBytes();
    const kept = journal.queries.places().reduce((sum, { bytes }) => sum + bytes, 0);
    for (const event of [
      storeFilling((blocks - bavail) * bsize + room.reserveBytes + reserved, blocks * bsize),
      storeFilling(kept + reserved, room.quotaBytes),
    ])
      if (event !== undefined) notifier.tell(event);
  };
  const timer = setInterval(() => {
    look().catch((error: unknown) => log.warn({ causes: causeChain(error) }, 'the room left could not be told'));
  }, everyMs);
  timer.unref();
  return () => clearInterval(timer);
}
