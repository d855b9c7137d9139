import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TlsIdentity } from '@kcorder/proto/bridge/channel.ts';

/** The PEM texts in a folder with ca.crt, tls.crt and tls.key. */
export function readLeaf(dir: string): TlsIdentity {
  const read = (name: string): Buffer => readFileSync(join(dir, name));
  return { ca: read('ca.crt'), certificate: read('tls.crt'), key: read('tls.key') };
}
