import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Authority } from './authority.ts';
import { type Namespace, startMember } from './namespace.ts';
import { dnsAddress, dnsDomain } from './node-files.ts';

/** Starts CoreDNS at the address that pods ask for the names of services; it knows no other names. */
export function startNameServer(parts: {
  namespace: Namespace;
  folder: string;
  logDir: string;
  programPath: string;
  authority: Authority;
}): void {
  const kubeconfig = join(parts.folder, 'dns.kubeconfig');
  writeFileSync(kubeconfig, parts.authority.kubeconfig('dns'), { mode: 0o600 });
  const config = join(parts.folder, 'Corefile');
  writeFileSync(
    config,
    `.:53 {
  bind ${dnsAddress}
  errors
  kubernetes ${dnsDomain} in-addr.arpa {
    kubeconfig ${kubeconfig}
    ttl 5
  }
}
`,
  );
  startMember(parts.namespace, join(parts.logDir, 'coredns.log'), [parts.programPath, '-conf', config]);
}

const name = 'lab-dns';

/** What CoreDNS may read. */
export const nameServerRights = [
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name },
    rules: [
      { apiGroups: [''], resources: ['services', 'namespaces'], verbs: ['list', 'watch'] },
      { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch'] },
    ],
  },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name }],
  },
];
