import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TlsIdentity } from '@kcorder/proto/bridge/channel.ts';

/** A leaf certificate with its key, as PEM texts and as files: `ca.crt`, `tls.crt` and `tls.key` in `dir`. */
export interface Leaf extends TlsIdentity {
  readonly dir: string;
}

/** How a leaf differs from an ordinary one. */
export interface LeafOptions {
  /** Whole days from now; 1 unless told otherwise. */
  readonly days?: number;
  /** Whole days ago that it began; it begins now unless told otherwise. */
  readonly begunDaysAgo?: number;
}

/** A certificate authority of one test: every leaf is made by it and lies under its directory. */
export interface Authority {
  readonly dir: string;
  /** PEM text of its certificate. */
  readonly ca: Buffer;
  /** A collector: localhost, kcorder-collector, 127.0.0.1 and 10.0.2.2 (the host as a QEMU guest sees it). */
  server(options?: LeafOptions): Leaf;
  /** An agent: SAN URI `spiffe://kcorder/node/<name>/<uid>`. */
  agent(name: string, uid: string, options?: LeafOptions): Leaf;
  /** A person: SAN URI `spiffe://kcorder/operator/<name>`. */
  operator(name: string, options?: LeafOptions): Leaf;
}

const serverNames = 'DNS:localhost,DNS:kcorder-collector,IP:127.0.0.1,IP:10.0.2.2';

/** Makes a certificate authority in `dir` with openssl: EC P-256 keys, nothing valid for longer than asked. Takes about 20 ms a leaf. */
export function makeAuthority(dir: string): Authority {
  mkdirSync(dir, { recursive: true });
  const caKey = join(dir, 'ca.key');
  const caPath = join(dir, 'ca.crt');
  makeKey(caKey);
  const caExtensions = ['basicConstraints=critical,CA:TRUE,pathlen:0', 'keyUsage=critical,keyCertSign,cRLSign'];
  openssl(
    ['req', '-x509', '-new', '-key', caKey, '-subj', '/CN=kcorder test authority', '-days', '2', '-out', caPath],
    caExtensions.flatMap((extension) => ['-addext', extension]),
  );
  const ca = readFileSync(caPath);

  const issue = (folder: string, subject: string, names: string, usage: string, options: LeafOptions = {}): Leaf => {
    const leafDir = join(dir, folder);
    mkdirSync(leafDir, { recursive: true });
    const [key, request, certificate] = [join(leafDir, 'tls.key'), join(leafDir, 'tls.csr'), join(leafDir, 'tls.crt')];
    const extensions = join(leafDir, 'extensions');
    makeKey(key);
    openssl(['req', '-new', '-key', key, '-subj', `/CN=${subject}`, '-out', request]);
    const usages = `keyUsage=critical,digitalSignature\nextendedKeyUsage=${usage}\n`;
    writeFileSync(extensions, `basicConstraints=critical,CA:FALSE\n${usages}subjectAltName=${names}\n`);
    const { days = 1, begunDaysAgo } = options;
    if (begunDaysAgo === undefined) {
      const signer = ['-CA', caPath, '-CAkey', caKey, '-CAcreateserial', '-extfile', extensions, '-days', String(days)];
      openssl(['x509', '-req', '-in', request, ...signer, '-out', certificate]);
    } else {
      // Only this one of OpenSSL's signers takes a beginning in the past.
      const config = join(leafDir, 'signer');
      writeFileSync(join(leafDir, 'index'), '');
      writeFileSync(
        config,
        `[ca]\ndefault_ca=signer\n[signer]\ndatabase=${join(leafDir, 'index')}\nserial=${join(leafDir, 'serial')}\nrand_serial=yes\nnew_certs_dir=${leafDir}\ndefault_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n`,
      );
      const between = ['-startdate', stamp(-begunDaysAgo), '-enddate', stamp(days)];
      const signer = ['-cert', caPath, '-keyfile', caKey, '-extfile', extensions, '-config', config];
      openssl(['ca', '-batch', '-notext', ...signer, ...between, '-in', request, '-out', certificate]);
    }
    writeFileSync(join(leafDir, 'ca.crt'), ca);
    return { dir: leafDir, ca, certificate: readFileSync(certificate), key: readFileSync(key) };
  };

  return {
    dir,
    ca,
    server: (options) => issue('server', 'kcorder-collector', serverNames, 'serverAuth', options),
    agent: (name, uid, options) =>
      issue(`node-${name}-${uid}`, name, `URI:spiffe://kcorder/node/${name}/${uid}`, 'clientAuth', options),
    operator: (name, options) =>
      issue(`operator-${name}`, name, `URI:spiffe://kcorder/operator/${name}`, 'clientAuth', options),
  };
}

/** A moment so many days from now, as OpenSSL takes it. */
const stamp = (days: number): string =>
  new Date(Date.now() + days * 24 * 3_600_000).toISOString().replaceAll(/[-:T]|\.\d+/g, '');

function makeKey(path: string): void {
  openssl(['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', path]);
}

function openssl(...args: string[][]): void {
  execFileSync('openssl', args.flat(), { stdio: ['ignore', 'ignore', 'pipe'] });
}
