import { randomBytes, randomUUID } from 'node:crypto';
import { type OciMount, ociConfig } from './container-spec.ts';
import { type SettingsFile, shellVariables } from './settings.ts';

export interface PodDefinition {
  namespace: string;
  name: string;
  /** The last number of the pod's address in 10.0.2.0/24. */
  host: number;
  /** TCP ports that the pod listens on once it is ready. */
  ports: number[];
  containers: ContainerDefinition[];
}

export interface ContainerDefinition {
  name: string;
  /** The folder on the node that holds the container's image; several, upper first, are separated by `:`. */
  image: string;
  args: string[];
  env?: string[];
  privileged?: boolean;
  mounts?: OciMount[];
}

/** The pods of every node: the test pod of the published method, and a plain pod in another namespace. */
export const standardPods: PodDefinition[] = [
  {
    namespace: 'default',
    name: 'forensics-test',
    host: 21,
    ports: [4444, 8000],
    containers: [
      { name: 'netcat', image: '/var/lib/images/debian', args: ['nc', '-l', '-k', '-p', '4444'] },
      { name: 'script', image: '/var/lib/images/debian', args: ['python3', '/app/beacon.py'] },
    ],
  },
  {
    namespace: 'shop',
    name: 'checkout',
    host: 22,
    ports: [8080],
    containers: [{ name: 'web', image: '/var/lib/images/busybox', args: ['httpd', '-f', '-p', '8080', '-h', '/www'] }],
  },
];

/** The bundles of one pod with a new uid and new container ids, as `start-pod` on the node reads them. */
export function podFiles(pod: PodDefinition, directory: string): SettingsFile[] {
  const uid = randomUUID();
  const cgroup = `/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod${uid.replaceAll('-', '_')}.slice`;
  const files: SettingsFile[] = [
    {
      path: `${directory}/pod.env`,
      text: shellVariables({
        POD_NAMESPACE: pod.namespace,
        POD_NAME: pod.name,
        POD_UID: uid,
        POD_INDEX: String(pod.host),
        POD_IP: `10.0.2.${pod.host}`,
        POD_PORTS: pod.ports.join(' '),
      }),
    },
  ];
  const sandbox: ContainerDefinition = { name: 'POD', image: '/var/lib/images/pause', args: ['/pause'] };
  for (const container of [sandbox, ...pod.containers]) {
    const id = randomBytes(32).toString('hex');
    const joins = container === sandbox ? {} : { ipc: '@SANDBOX@/ns/ipc', uts: '@SANDBOX@/ns/uts' };
    const config = ociConfig({
      ...container,
      hostname: pod.name,
      cgroupsPath: `${cgroup}/cri-containerd-${id}.scope`,
      namespacePaths: { network: `/run/netns/cni-${uid}`, ...joins },
    });
    const folder = `${directory}/containers/${container.name}`;
    files.push({ path: `${folder}/config.json`, text: JSON.stringify(config) });
    files.push({ path: `${folder}/container.env`, text: shellVariables({ CONTAINER_ID: id, IMAGE: container.image }) });
  }
  return files;
}
