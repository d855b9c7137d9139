import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TlsIdentity } from '@kcorder/proto/bridge/channel.ts';
import { Fault } from '@kcorder/proto/fault.ts';

/** Reads ca.crt, tls.crt and tls.key of a directory. Throws config_invalid for what is missing, empty, or does not belong together. */
export async function readTlsDirectory(dir: string): Promise<TlsIdentity> {
  const read = async (name: string): Promise<Buffer> =>
    await readFile(join(dir, name)).catch((error: unknown) => {
      throw new Fault('config_invalid', `${join(dir, name)} cannot be read: put ca.crt, tls.crt and tls.key there`, {
        cause: error,
      });
    });
  const [ca, certificate, key] = await Promise.all([read('ca.crt'), read('tls.crt'), read('tls.key')]);
  try {
    new X509Certificate(ca);
    if (!new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key)))
      throw new Error('tls.key is not the key of tls.crt');
  } catch (error) {
    throw new Fault('config_invalid', `the certificate and key in ${dir} cannot be used together: issue them anew`, {
      cause: error,
    });
  }
  return { ca, certificate, key };
}
