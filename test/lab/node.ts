import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parseLogLink } from '../../agent/containers.ts';
import { makeAuthority } from '../../tools/certificates.ts';
import { type LabNode, startNode } from '../../tools/lab/node.ts';
import { quote } from '../../tools/lab/quote.ts';
import { agentArguments } from '../../tools/stage/agent-launch.ts';

const containers = [
  {
    pod: 'forensics-test',
    namespace: 'default',
    container: 'netcat',
    commandLine: 'nc -l -k -p 4444',
    port: 4444,
    address: '10.0.2.21',
  },
  {
    pod: 'forensics-test',
    namespace: 'default',
    container: 'script',
    commandLine: 'python3 /app/beacon.py',
    port: 8000,
    address: '10.0.2.21',
  },
  {
    pod: 'checkout',
    namespace: 'shop',
    container: 'web',
    commandLine: 'httpd -f -p 8080 -h /www',
    port: 8080,
    address: '10.0.2.22',
  },
];

/** The tests of the lab's own nodes, on one that has its pods and no agent. */
export function describeNode(node: () => LabNode): void {
  describe('a lab node', () => {
    const folder = mkdtempSync(join(tmpdir(), 'kcorder-lab-'));
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    /** The pid of the one process whose command line begins with this program and has these further words. */
    async function pidOf(commandLine: string): Promise<string> {
      const [program = ''] = commandLine.split(' ');
      const script = `cd /proc; for p in $(grep -ls ^${quote(program)} [0-9]*/cmdline); do echo "\${p%/*} $(tr '\\0' ' ' <$p)"; done`;
      const found = (await node().must(script)).split('\n').filter((line) => line.endsWith(` ${commandLine} `));
      expect(found, commandLine).toHaveLength(1);
      return found[0]?.split(' ')[0] ?? '';
    }

    test.each(containers)(
      '$namespace/$pod/$container runs in the cgroup that kubelet would give it',
      async (expected) => {
        const cgroup = (await node().must(`cat /proc/${await pidOf(expected.commandLine)}/cgroup`)).trim();
        const [, uid, id] =
          /^0::\/kubepods\.slice\/kubepods-besteffort\.slice\/kubepods-besteffort-pod([0-9a-f_]{36})\.slice\/cri-containerd-([0-9a-f]{64})\.scope$/.exec(
            cgroup,
          ) ?? [];
        expect(uid, cgroup).toBeDefined();
        const link = `${expected.pod}_${expected.namespace}_${expected.container}-${id}.log`;
        const target = (await node().must(`readlink /var/log/containers/${link}`)).trim();
        expect(parseLogLink(link, target)).toEqual({
          podNamespace: expected.namespace,
          podName: expected.pod,
          podUid: uid?.replaceAll('_', '-'),
          containerName: expected.container,
          containerId: id,
        });
      },
    );

    test.each(containers)(
      '$container listens on $port at the address of its pod, and goes on after a caller has left',
      async (expected) => {
        const call = `echo hello | nc -w 2 ${expected.address} ${expected.port} >/dev/null && echo reached`;
        expect(await node().must(`${call}; ${call}`)).toBe('reached\nreached\n');
      },
    );

    test('containers have namespaces of their own and share those of their pod', async () => {
      const kinds = ['pid', 'mnt', 'cgroup', 'net', 'uts', 'ipc'];
      const namespaces = async (pid: string) =>
        (await node().must(kinds.map((kind) => `readlink /proc/${pid}/ns/${kind}`).join('; '))).trim().split('\n');
      const own = await namespaces('1');
      const netcat = await namespaces(await pidOf('nc -l -k -p 4444'));
      const script = await namespaces(await pidOf('python3 /app/beacon.py'));
      const web = await namespaces(await pidOf('httpd -f -p 8080 -h /www'));
      for (const [index, kind] of kinds.entries()) {
        expect(new Set([own[index], netcat[index], web[index]]).size, kind).toBe(3);
        expect(netcat[index] === script[index], kind).toBe(['net', 'uts', 'ipc'].includes(kind));
      }
    });

    test('a container sees its own root, the name of its pod, and no kcore', async () => {
      const pid = await pidOf('python3 /app/beacon.py');
      expect(await node().must(`nsenter -t ${pid} -u hostname`)).toBe('forensics-test\n');
      expect(await node().must(`ls /proc/${pid}/root/app`)).toBe('beacon.py\n');
      expect(await node().must(`wc -c </proc/${pid}/root/proc/kcore`)).toBe('0\n');
    });

    test('there is a zombie, and a process that lives on after its leader thread', async () => {
      const tasks = (name: string) =>
        node().must(
          `p=$(dirname $(grep -ls '^Name:.${name}$' /proc/[0-9]*/status)); grep State: $p/status; ls $p/task | wc -l`,
        );
      expect(await tasks('lab-zombie')).toMatch(/^State:\tZ \(zombie\)\n1\n$/);
      expect(await tasks('lab-leaderless')).toMatch(/^State:\tZ \(zombie\)\n2\n$/);
    });

    test('run gives output, errors and the exit code, also of a command that a signal ends', async () => {
      expect(await node().run('echo out; echo err >&2; exit 3')).toEqual({
        stdout: 'out\n',
        stderr: 'err\n',
        exitCode: 3,
      });
      expect((await node().run('kill -9 $$')).exitCode).toBe(137);
    });

    test('run copes with 16 MiB of output and with many commands at once', async () => {
      const large = node().run('dd if=/dev/zero bs=65536 count=256 2>/dev/null');
      const many = Array.from({ length: 12 }, async (_, index) => (await node().must(`echo ${index}`)).trim());
      expect(await Promise.all(many)).toEqual(Array.from({ length: 12 }, (_, index) => String(index)));
      expect((await large).stdout.length).toBe(16 * 1024 * 1024);
    });

    test('a command that is given up is killed with its children', async () => {
      const signal = AbortSignal.timeout(1000);
      await expect(node().run('sleep 4242 & sleep 4242', { signal })).rejects.toThrow(/timeout/i);
      // a moment for the news to reach the node
      const gone = 'for i in 1 2 3 4 5 6 7 8 9 10; do ps | grep -q "[s]leep 4242" || exit 0; sleep 0.5; done; exit 1';
      expect((await node().run(gone)).exitCode).toBe(0);
    });

    test('put and get bring the same bytes', async () => {
      const bytes = randomBytes(5_000_000);
      const digest = createHash('sha256').update(bytes).digest('hex');
      writeFileSync(join(folder, 'there'), bytes);
      await node().put(join(folder, 'there'), "/tmp/it's here");
      expect(await node().must('sha256sum /tmp/it*')).toContain(digest);
      await node().get("/tmp/it's here", join(folder, 'back'));
      expect(readFileSync(join(folder, 'back')).equals(bytes)).toBe(true);
    });

    test('the agent runs in a privileged pod of its own and reaches the loopback of this machine', async () => {
      const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const address = server.address();
      const collectorPort = typeof address === 'object' && address ? address.port : 0;
      const called = once(server, 'connection');
      await node().startAgent({
        collectorPort,
        certDir: makeAuthority(join(folder, 'tls')).agent(node().name, 'uid').dir,
      });
      await called;
      const pid = await pidOf(['/usr/local/bin/node', ...agentArguments, '/app/agent/main.ts'].join(' '));
      expect(await node().must(`grep CapEff /proc/${pid}/status`)).toMatch(/1ffffffffff$/m);
      expect(await node().must(`head -c 4 /proc/${pid}/root/proc/kcore | tail -c 3`)).toBe('ELF');
      expect(await node().must('ls /var/log/containers')).toContain('kcorder-agent_kcorder_agent-');
      await node().stopAgent();
      expect(await node().must('ls /var/log/containers')).not.toContain('kcorder-agent');
      server.close();
    }, 240_000);

    test('a second node of the same name is refused', async () => {
      await expect(startNode({ name: node().name })).rejects.toThrow(/is up already/);
    });
  });
}
