import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Authority, apiServer } from './authority.ts';
import { type Namespace, startMember } from './namespace.ts';

interface Parts {
  namespace: Namespace;
  folder: string;
  logDir: string;
  /** Where Kubernetes' programs lie, and the root that etcd comes from. */
  programDir: string;
  treeDir: string;
  authority: Authority;
}

/** Starts etcd and the API server; what needs the API server is for `startControllers`. */
export function startApiServer(parts: Parts): void {
  const { namespace, folder, logDir, programDir, treeDir, authority } = parts;
  const etcdDir = join(folder, 'etcd');
  mkdirSync(etcdDir, { mode: 0o700 });
  startMember(namespace, join(logDir, 'etcd.log'), [
    join(treeDir, 'usr/bin/etcd'),
    ...options({
      'data-dir': etcdDir,
      // nothing here outlives the machine's next start
      'unsafe-no-fsync': true,
      'listen-client-urls': 'http://127.0.0.1:2379',
      'advertise-client-urls': 'http://127.0.0.1:2379',
      'listen-peer-urls': 'http://127.0.0.1:2380',
    }),
  ]);
  const { path } = authority;
  startMember(namespace, join(logDir, 'kube-apiserver.log'), [
    join(programDir, 'kube-apiserver'),
    ...options({
      'etcd-servers': 'http://127.0.0.1:2379',
      'bind-address': '0.0.0.0',
      'secure-port': apiServer.port,
      'advertise-address': apiServer.address,
      'service-cluster-ip-range': '10.96.0.0/16',
      'cert-dir': join(folder, 'apiserver'),
      'tls-cert-file': path('apiserver.crt'),
      'tls-private-key-file': path('apiserver.key'),
      'client-ca-file': path('ca.crt'),
      'service-account-key-file': path('service-accounts.pub'),
      'service-account-signing-key-file': path('service-accounts.key'),
      'service-account-issuer': 'https://kubernetes.default.svc',
      'authorization-mode': 'Node,RBAC',
      'enable-admission-plugins': 'NodeRestriction',
      'allow-privileged': true,
      'anonymous-auth': false,
      'kubelet-client-certificate': path('apiserver-kubelet-client.crt'),
      'kubelet-client-key': path('apiserver-kubelet-client.key'),
      'kubelet-preferred-address-types': 'InternalIP',
    }),
  ]);
}

/** Starts the controller manager and the scheduler. */
export function startControllers({ namespace, folder, logDir, programDir, authority }: Parts): void {
  const { path } = authority;
  const credentials = (client: 'controller-manager' | 'scheduler') => {
    const kubeconfig = join(folder, `${client}.kubeconfig`);
    writeFileSync(kubeconfig, authority.kubeconfig(client), { mode: 0o600 });
    return {
      kubeconfig,
      'authentication-kubeconfig': kubeconfig,
      'authorization-kubeconfig': kubeconfig,
      'bind-address': '127.0.0.1',
      'leader-elect': false,
    };
  };
  startMember(namespace, join(logDir, 'kube-controller-manager.log'), [
    join(programDir, 'kube-controller-manager'),
    ...options({
      ...credentials('controller-manager'),
      'use-service-account-credentials': true,
      'service-account-private-key-file': path('service-accounts.key'),
      'root-ca-file': path('ca.crt'),
      'cluster-signing-cert-file': path('ca.crt'),
      'cluster-signing-key-file': path('ca.key'),
      'allocate-node-cidrs': false,
    }),
  ]);
  startMember(namespace, join(logDir, 'kube-scheduler.log'), [
    join(programDir, 'kube-scheduler'),
    ...options(credentials('scheduler')),
  ]);
}

function options(values: Record<string, string | number | boolean>): string[] {
  return Object.entries(values).map(([name, value]) => `--${name}=${value}`);
}
