import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { beforeAll, describe, expect, test } from 'vitest';
import type { LabCluster } from '../../tools/lab/cluster/cluster.ts';
import { ensureClusterImages } from '../../tools/lab/cluster/images.ts';
import { ensureNodeImage } from '../../tools/lab/cluster/node-image.ts';
import { repoDir } from '../../tools/setup/cache.ts';
import { isAlive } from '../../tools/setup/process.ts';

/** A pod of node2 that keeps things on a claimed volume, as an unprivileged user, and has a token for one audience. */
const nativePod = {
  apiVersion: 'v1',
  kind: 'List',
  items: [
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'keep', namespace: 'default' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '5Gi' } } },
    },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'keeper', namespace: 'default', labels: { app: 'keeper' } },
      spec: {
        terminationGracePeriodSeconds: 1,
        securityContext: { runAsUser: 65532, runAsGroup: 65532, fsGroup: 65532, runAsNonRoot: true },
        containers: [
          {
            name: 'keeper',
            image: 'registry.local/kcorder-test:1',
            imagePullPolicy: 'Never',
            command: ['sh', '-c', 'echo kept >/data/file && exec busybox httpd -f -p 8080 -h /data'],
            resources: { limits: { memory: '64Mi' } },
            volumeMounts: [
              { name: 'data', mountPath: '/data' },
              { name: 'token', mountPath: '/token' },
            ],
          },
        ],
        volumes: [
          { name: 'data', persistentVolumeClaim: { claimName: 'keep' } },
          {
            name: 'token',
            projected: {
              sources: [{ serviceAccountToken: { path: 'token', audience: 'kcorder', expirationSeconds: 600 } }],
            },
          },
        ],
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'keeper', namespace: 'default' },
      spec: { selector: { app: 'keeper' }, ports: [{ port: 80, targetPort: 8080 }] },
    },
  ],
};

interface NodeObject {
  metadata: { name: string; labels: Record<string, string> };
  status: { conditions: { type: string; status: string }[]; nodeInfo: { kernelVersion: string } };
}

/** The tests of the lab's own cluster, on one that runs the pods of demo-pods.yaml. They leave a pod on node2. */
export function describeCluster(cluster: () => LabCluster): void {
  describe('the cluster', () => {
    beforeAll(async () => {
      await cluster().must(['apply', '-f', '-'], { stdin: JSON.stringify(nativePod) });
    });

    const get = async (path: string[]) => JSON.parse(await cluster().must(['get', ...path, '-o', 'json']));

    async function podReady(name: string, namespace = 'default'): Promise<string> {
      await cluster().must([
        'wait',
        '--for=condition=Ready',
        '--timeout=240s',
        `pod/${name}`,
        '--namespace',
        namespace,
      ]);
      return (await get([`pod/${name}`, '--namespace', namespace])).status.podIP;
    }

    const inPod = async (pod: string, script: string) => await cluster().must(['exec', pod, '--', 'sh', '-c', script]);

    /** The first line that a server answers a caller with, asked from inside a pod. */
    const askedFrom = (pod: string, host: string, port: number) =>
      inPod(pod, `printf 'GET /file HTTP/1.0\\r\\n\\r\\n' | nc -w 5 ${host} ${port} | tail -n 1`);

    test('two nodes are Ready: a virtual machine with a kernel of its own, and this machine', async () => {
      const nodes = (await get(['nodes'])).items.map(({ metadata, status }: NodeObject) => ({
        name: metadata.name,
        kind: metadata.labels['kcorder.dev/lab'],
        ready: status.conditions.find((condition) => condition.type === 'Ready')?.status,
        kernel: status.nodeInfo.kernelVersion,
      }));
      const here = readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim();
      expect(nodes).toEqual([
        { name: 'node1', kind: 'guest', ready: 'True', kernel: expect.stringMatching(/^6\.1\..*-cloud-amd64$/) },
        { name: 'node2', kind: 'native', ready: 'True', kernel: here },
      ]);
      expect((await cluster().onGuest('cat /etc/os-release')).stdout).toMatch(/^ID=debian$/m);
    });

    test('pods of both nodes reach each other by address, and by a service', async () => {
      const [archiver, script] = [await podReady('keeper'), await podReady('forensics-test')];
      expect(await askedFrom('privileged-shell', archiver, 8080)).toBe('kept\n');
      expect(await askedFrom('keeper', script, 8000)).toBe('beacon\n');
      const service = (await get(['service/keeper'])).spec.clusterIP;
      await expect.poll(() => askedFrom('privileged-shell', service, 80), { timeout: 120_000 }).toBe('kept\n');
      await expect.poll(() => askedFrom('keeper', service, 80), { timeout: 120_000 }).toBe('kept\n');
    });

    test('pods find a service by its name', async () => {
      await podReady('keeper');
      await podReady('privileged-shell');
      expect(await askedFrom('privileged-shell', 'keeper', 80)).toBe('kept\n');
      expect(await askedFrom('keeper', 'keeper.default.svc', 80)).toBe('kept\n');
    });

    test('a claim is bound to a volume that the pod, which is not root, may write to', async () => {
      await podReady('keeper');
      expect((await get(['pvc/keep'])).status.phase).toBe('Bound');
      expect(await inPod('keeper', 'cat /data/file; id -u')).toBe('kept\n65532\n');
    });

    test('a token of a pod is good for its audience only, and tells the pod and the node', async () => {
      await podReady('keeper');
      const token = await inPod('keeper', 'cat /token/token');
      const review = async (audience: string) => {
        const asked = {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenReview',
          spec: { token, audiences: [audience] },
        };
        const args = ['create', '-f', '-', '-o', 'json'];
        return JSON.parse(await cluster().must(args, { stdin: JSON.stringify(asked) })).status;
      };
      expect(await review('kcorder')).toMatchObject({
        authenticated: true,
        audiences: ['kcorder'],
        user: {
          username: 'system:serviceaccount:default:default',
          extra: {
            'authentication.kubernetes.io/pod-name': ['keeper'],
            'authentication.kubernetes.io/node-name': ['node2'],
          },
        },
      });
      expect((await review('other')).authenticated).toBeUndefined();
    });

    test('a privileged pod of node1 reads the memory of its kernel, an ordinary one does not', async () => {
      await podReady('privileged-shell');
      await podReady('forensics-test');
      expect(await inPod('privileged-shell', 'head -c 4 /proc/kcore | tail -c 3')).toBe('ELF');
      expect(await inPod('forensics-test', 'head -c 4 /proc/kcore | wc -c')).toBe('0\n');
    });

    test('logs of pods of both nodes can be read', async () => {
      await podReady('forensics-test');
      expect(await cluster().must(['logs', 'forensics-test', '-c', 'script'])).toMatch(/^beacon$/m);
      expect((await cluster().kubectl(['logs', 'keeper'])).exitCode).toBe(0);
    });

    test.each([
      ['node1', 'forensics-test', 8000, 'beacon\n'],
      ['node2', 'keeper', 8080, 'kept\n'],
    ] as const)('port-forward reaches a pod of %s', async (_node, pod, port, answer) => {
      await podReady(pod);
      const forwarder = cluster().spawn('kubectl', ['port-forward', `pod/${pod}`, `:${port}`]);
      try {
        let local: string | undefined;
        for await (const line of createInterface(forwarder.stdout ?? process.stdin)) {
          local = /^Forwarding from 127\.0\.0\.1:(\d+)/.exec(line)?.[1];
          if (local) break;
        }
        const ask = `exec 3<>/dev/tcp/127.0.0.1/${local}; printf 'GET /file HTTP/1.0\\r\\n\\r\\n' >&3; tail -n 1 <&3`;
        expect((await cluster().run('bash', ['-c', ask])).stdout).toBe(answer);
      } finally {
        forwarder.kill();
        await once(forwarder, 'exit');
      }
    });

    test('an image that comes later is known to both nodes', async () => {
      const [, testImagePath = ''] = await ensureClusterImages();
      await cluster().importImages([testImagePath]);
      expect((await cluster().onGuest('ctr -n k8s.io images list -q')).stdout).toContain(
        'registry.local/kcorder-test:1',
      );
    });
  });
}

/** The tests of a cluster's end. */
export function describeEnd(cluster: () => LabCluster): void {
  test('nothing of the cluster leads out, and down leaves no process, mount, cgroup or file', async () => {
    const out = await cluster().run('bash', ['-c', 'exec 3<>/dev/tcp/1.1.1.1/80']);
    expect(out.stderr).toMatch(/unreachable/);
    const { folder, namespace } = cluster().state;
    await cluster().stop();
    for (const { pid, start } of [namespace.first, namespace.holder, namespace.janitor])
      expect(isAlive(pid, start)).toBe(false);
    const commands = readdirSync('/proc')
      .filter((entry) => /^\d+$/.test(entry))
      .map((entry) => commandLine(entry));
    expect(commands.filter((line) => line.includes(folder))).toEqual([]);
    expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(folder);
    const groups = ['', ...readdirSync('/sys/fs/cgroup')].map(
      (name) => `/sys/fs/cgroup/${name}/kcorder-lab-${cluster().state.name}`,
    );
    expect(groups.filter((path) => existsSync(path))).toEqual([]);
    expect(existsSync(folder)).toBe(false);
  });

  test('the namespaces end with the process that made them, also when that is killed', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kcorder-namespace-'));
    const cgroup = `kcorder-lab-test-${process.pid}-killed`;
    const { treeDir } = await ensureNodeImage();
    const script = `
      const { openNamespace, startMember } = await import(${JSON.stringify(join(repoDir, 'tools/lab/cluster/namespace.ts'))});
      const namespace = await openNamespace(${JSON.stringify({ folder, cgroup, treeDir, follow: true })});
      const member = startMember(namespace, ${JSON.stringify(join(folder, 'log'))}, ['sleep', '4242']);
      console.log(JSON.stringify({ ...namespace, member: { pid: member.pid } }));
      setInterval(() => {}, 1000);`;
    const starter = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [said] = await once(createInterface(starter.stdout), 'line');
    const processes = Object.values(JSON.parse(said) as Record<string, { pid: number; start?: string }>);
    for (const { pid, start } of processes) expect(isAlive(pid, start)).toBe(true);
    starter.kill('SIGKILL');
    await expect.poll(() => processes.filter(({ pid, start }) => isAlive(pid, start)), { timeout: 10_000 }).toEqual([]);
    expect(existsSync(folder)).toBe(false);
  });
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
