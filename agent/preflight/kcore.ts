import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { parseMountinfo } from '../kernel/mountinfo.ts';
import { isElf64 } from '../kernel/vmcoreinfo.ts';

/** What lies at /proc/kcore. */
export type KcoreState =
  | { readonly kind: 'readable' }
  | { readonly kind: 'absent' }
  | { readonly kind: 'masked'; readonly how: string }
  /** The kernel did not let it be opened or read; `errno` as in EPERM. */
  | { readonly kind: 'denied'; readonly errno: string };

/** Mount point of the real file, whatever path is read in its place. */
const mountPoint = '/proc/kcore';

/** Looks at kcore as AVML will: opens it and reads its first bytes. `mountinfo` is the text of /proc/self/mountinfo. */
export function lookAtKcore(path: string, mountinfo: string): KcoreState {
  const over = parseMountinfo(mountinfo).findLast((mount) => mount.mountPoint === mountPoint);
  if (over !== undefined) {
    return { kind: 'masked', how: `${over.filesystem} ${over.source} is mounted over it` };
  }
  let fd: number | undefined;
  try {
    const stat = statSync(path);
    if (!stat.isFile()) {
      return { kind: 'masked', how: stat.isCharacterDevice() ? 'it is a character device' : 'it is not a file' };
    }
    fd = openSync(path, 'r');
    const start = Buffer.alloc(64);
    const count = readSync(fd, start, 0, start.length, 0);
    if (count === 0) return { kind: 'masked', how: 'it is empty' };
    return isElf64(start.subarray(0, count))
      ? { kind: 'readable' }
      : { kind: 'masked', how: 'it does not start as an ELF file' };
  } catch (error) {
    const errno = errnoOf(error);
    return errno === 'ENOENT' ? { kind: 'absent' } : { kind: 'denied', errno };
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function errnoOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : String(error);
}
