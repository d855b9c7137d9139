import { statfs } from 'node:fs/promises';

/** The room for evidence, and what of it is taken. Sizes in bytes. */
export interface RoomDeps {
  readonly dataDir: string;
  /** Kept free for everything else on the disk. */
  readonly reserveBytes: number;
  /** Of evidence in all; 0: no limit. */
  readonly quotaBytes: number;
  /** Promised to captures that run. */
  reservedBytes(): number;
  keptBytes(): number;
  /** Called every minute, for the disk and for the quota. */
  looked(usedBytes: number, limitBytes: number): void;
  failed(error: unknown): void;
}

const everyMs = 60_000;

/** Looks at the room every minute. Returns the function that stops it. */
export function watchRoom(deps: RoomDeps): () => void {
  const look = async (): Promise<void> => {
    const { bsize, blocks, bavail } = await statfs(deps.dataDir);
    const reserved = deps.reservedBytes();
    const kept = deps.keptBytes();
    deps.looked((blocks - bavail) * bsize + deps.reserveBytes + reserved, blocks * bsize);
    deps.looked(kept + reserved, deps.quotaBytes);
  };
  const timer = setInterval(() => void look().catch(deps.failed), everyMs);
  timer.unref();
  return () => clearInterval(timer);
}
