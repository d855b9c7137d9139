import { createHash } from 'node:crypto';
import { type BigIntStats, closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { PreflightReason } from '@kcorder/proto/gen/kcorder/v1/node_pb.ts';
import type { Refusal } from '../refusal.ts';

/** A program that is open, with what its bytes hash to. */
export interface OpenProgram {
  readonly fd: number;
  /** Lower-case hex. */
  readonly sha256: string;
  /** Whether the file was written, or changed in any other way, since it was hashed. */
  changed(): boolean;
  close(): void;
}

/** The program, or why it must not run. */
export type ProgramCheck =
  | { readonly kind: 'intact'; readonly program: OpenProgram }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

/**
 * Opens the program at `path` and compares its SHA-256 with `expected` (lower-case hex). The caller executes the very file that was
 * hashed and closes it. Reading takes some 20 ms.
 */
export function openProgram(path: string, expected: string): ProgramCheck {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return refused(PreflightReason.AVML_MISSING, `AVML cannot be opened (${why}); install the agent's image again`);
  }
  try {
    const before = fstatSync(fd, { bigint: true });
    const sha256 = hash(fd);
    const program: OpenProgram = {
      fd,
      sha256,
      changed: () => fingerprint(fstatSync(fd, { bigint: true })) !== fingerprint(before),
      close: () => closeSync(fd),
    };
    if (sha256 === expected) return { kind: 'intact', program };
    program.close();
    return refused(
      PreflightReason.AVML_ALTERED,
      `AVML at ${path} has the SHA-256 ${sha256}, not ${expected}: it is not the program that came with the agent; install the agent's image again and find out who changed it`,
    );
  } catch (error) {
    closeSync(fd);
    const why = error instanceof Error ? error.message : String(error);
    return refused(PreflightReason.AVML_MISSING, `AVML cannot be read (${why}); install the agent's image again`);
  }
}

/** Identity and state of the file at `path`; any change of its bytes changes it. Empty when there is none. */
export function fileFingerprint(path: string): string {
  try {
    return fingerprint(statSync(path, { bigint: true }));
  } catch {
    return '';
  }
}

/** The change time is the kernel's own: unlike the modification time nobody can set it back. */
function fingerprint(stat: BigIntStats): string {
  return [stat.dev, stat.ino, stat.size, stat.ctimeNs].join(' ');
}

function hash(fd: number): string {
  const digest = createHash('sha256');
  const buffer = Buffer.allocUnsafe(1 << 20);
  for (let position = 0; ; ) {
    const count = readSync(fd, buffer, 0, buffer.length, position);
    if (count === 0) return digest.digest('hex');
    digest.update(buffer.subarray(0, count));
    position += count;
  }
}

function refused(reason: PreflightReason, message: string): ProgramCheck {
  return { kind: 'refused', refusal: { reason, message } };
}
