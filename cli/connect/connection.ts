import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import tls from 'node:tls';
import type { Client } from '@grpc/grpc-js';
import { openAnonymousChannel, openChannel, type TlsIdentity } from '@kcorder/proto/bridge/channel.ts';
import { Fault } from '@kcorder/proto/fault.ts';

/** A list of processes or of a plugin's rows comes in one message. */
const receiveLimitBytes = 256 << 20;

/** Opens a channel to a collector with the certificates of a directory. Throws config_invalid for what is wrong in that directory. */
export function openCollector(address: string, tlsDir: string): Client {
  if (!/^.+:\d{1,5}$/.test(address)) {
    throw new Fault(
      'config_invalid',
      `the collector's address "${address}" is not host:port. Give one such as kcorder.example:7443.`,
    );
  }
  tls.DEFAULT_MIN_VERSION = 'TLSv1.3';
  const identity = readIdentity(tlsDir);
  try {
    return openChannel(address, identity, { receiveLimitBytes });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Fault(
      'config_invalid',
      `the certificates in ${tlsDir} cannot be used: ${why}. ca.crt, tls.crt and tls.key must be PEM files, and tls.key the key of tls.crt.`,
      { cause: error },
    );
  }
}

/** Opens a channel to a collector whose port is forwarded: its certificate is checked against another name than the address, and no certificate is shown. */
export function openForwarded(address: string, ca: Buffer, serverName: string): Client {
  const before = tls.DEFAULT_MIN_VERSION;
  // The API server, on the way to the collector, may be older.
  tls.DEFAULT_MIN_VERSION = 'TLSv1.3';
  try {
    return openAnonymousChannel(address, ca, { receiveLimitBytes, serverName });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Fault('config_invalid', `the collector's trust bundle cannot be used: ${why}`, { cause: error });
  } finally {
    tls.DEFAULT_MIN_VERSION = before;
  }
}

function readIdentity(dir: string): TlsIdentity {
  const read = (name: string): Buffer => {
    const path = join(dir, name);
    try {
      return readFileSync(path);
    } catch (error) {
      throw new Fault(
        'config_invalid',
        `cannot read ${path}: ${fileProblem(error)}. The TLS directory (--tls-dir or KCORDER_TLS_DIR) must hold ca.crt, tls.crt and tls.key.`,
        { cause: error },
      );
    }
  };
  return { ca: read('ca.crt'), certificate: read('tls.crt'), key: read('tls.key') };
}

/** What went wrong with a file, in words. */
export function fileProblem(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return fileProblems[code] ?? (error instanceof Error ? error.message : String(error));
}

const fileProblems: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EISDIR: 'it is a directory',
  ENOTDIR: 'a part of its path is not a directory',
  ENOSPC: 'no space left on the disk',
  EDQUOT: 'the disk quota is used up',
  EROFS: 'the file system is read-only',
  EFBIG: 'the file system does not take files of this size',
  EIO: 'the disk reported an input/output error',
};
