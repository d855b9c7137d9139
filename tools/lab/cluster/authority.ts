import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { command } from '../../setup/command.ts';

/** The keys of a cluster, made anew for each: files in `dir`, named as in `openAuthority`. */
export interface Authority {
  path: (name: string) => string;
  /** The text of a kubeconfig of one of the clients. */
  kubeconfig: (client: Client) => string;
}

/** Who has a certificate to talk to the API server with, by the names that Kubernetes' own rules know them under. */
const clients = {
  admin: '/O=system:masters/CN=admin',
  'apiserver-kubelet-client': '/O=system:masters/CN=apiserver-kubelet-client',
  'controller-manager': '/CN=system:kube-controller-manager',
  scheduler: '/CN=system:kube-scheduler',
  proxy: '/CN=system:kube-proxy',
  dns: '/CN=lab-dns',
  node1: '/O=system:nodes/CN=system:node:node1',
  node2: '/O=system:nodes/CN=system:node:node2',
} as const;

type Client = keyof typeof clients;

/** Where the API server answers in the cluster's network. */
export const apiServer = { address: '10.0.2.2', port: 6443, serviceAddress: '10.96.0.1' } as const;

const serverNames = [
  ...[apiServer.address, apiServer.serviceAddress, '127.0.0.1'].map((address) => `IP:${address}`),
  ...['localhost', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc'].map((name) => `DNS:${name}`),
  'DNS:kubernetes.default.svc.cluster.local',
];

/** Makes an authority, a certificate for the API server and every client, and the key pair of the service accounts' tokens. */
export async function openAuthority(dir: string): Promise<Authority> {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const path = (name: string) => join(dir, name);
  await openssl(
    ...['req', '-x509', ...newKey(path('ca.key')), '-out', path('ca.crt'), '-days', '30', '-subj', '/CN=lab cluster'],
  );
  const issue = async (name: string, subject: string, usage: string) => {
    await openssl('req', ...newKey(path(`${name}.key`)), '-out', path(`${name}.csr`), '-subj', subject);
    writeFileSync(path(`${name}.ext`), `basicConstraints=critical,CA:FALSE\n${usage}\n`);
    const signer = ['-CA', path('ca.crt'), '-CAkey', path('ca.key'), '-set_serial', String(serial++), '-days', '30'];
    const files = ['-in', path(`${name}.csr`), '-extfile', path(`${name}.ext`), '-out', path(`${name}.crt`)];
    await openssl('x509', '-req', ...signer, ...files);
  };
  let serial = 2;
  await Promise.all([
    openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', path('service-accounts.key')).then(() =>
      openssl('ec', '-in', path('service-accounts.key'), '-pubout', '-out', path('service-accounts.pub')),
    ),
    issue('apiserver', '/CN=kube-apiserver', `extendedKeyUsage=serverAuth\nsubjectAltName=${serverNames.join(',')}`),
    ...Object.entries(clients).map(([name, subject]) => issue(name, subject, 'extendedKeyUsage=clientAuth')),
  ]);
  const base64 = (name: string) => readFileSync(path(name)).toString('base64');
  const cluster = {
    server: `https://${apiServer.address}:${apiServer.port}`,
    'certificate-authority-data': base64('ca.crt'),
  };
  return {
    path,
    kubeconfig: (client) =>
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [{ name: 'lab', cluster }],
        users: [
          {
            name: client,
            user: {
              'client-certificate-data': base64(`${client}.crt`),
              'client-key-data': base64(`${client}.key`),
            },
          },
        ],
        contexts: [{ name: 'lab', context: { cluster: 'lab', user: client } }],
        'current-context': 'lab',
      }),
  };
}

function newKey(path: string): string[] {
  return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', path];
}

async function openssl(...args: string[]): Promise<void> {
  await command('openssl', args);
}
