import { createReadStream, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { repoDir } from '../setup/cache.ts';
import { command } from '../setup/command.ts';
import { say } from '../setup/progress.ts';
import { agentArguments } from '../stage/agent-launch.ts';
import { type PodDefinition, podFiles } from './pods.ts';
import { quote } from './quote.ts';
import { writeTar } from './settings.ts';
import type { NodeState } from './state.ts';

/** What is asked of a node here: see LabNode. */
interface Host {
  readonly name: string;
  readonly state: NodeState;
  run: (command: string) => Promise<{ stdout: string; stderr: string; exitCode: number }>;
  must: (command: string, options?: { stdin?: AsyncIterable<Uint8Array> }) => Promise<string>;
  forward: (port: number) => Promise<void>;
}

/** How an agent shows whose it is. */
type AgentIdentity =
  /** A folder with `ca.crt`, `tls.crt` and `tls.key`. */
  { certDir: string; enrol?: never } | { enrol: Enrolment; certDir?: never };

/** What an agent gets its certificate with. */
interface Enrolment {
  /** Port of the collector's api on this machine's loopback. */
  port: number;
  /** A join token. */
  token: string;
  /** PEM of the authority that the collector's certificate comes from. */
  caPath: string;
}

export type AgentOptions = AgentIdentity & AgentPlace;

interface AgentPlace {
  /** Port of the collector on this machine's loopback. */
  collectorPort: number;
  /** Further settings of the agent; KCORDER_COLLECTOR here overrules the port. */
  env?: Record<string, string>;
  /** False: an ordinary container, which the runtime keeps away from /proc/kcore. */
  privileged?: boolean;
}

/** The node keeps the path of its running agent's pod here. */
const currentPath = '/run/lab/agent';

/** Once in some hundred starts V8 fails a check of its own pages of code (nodejs/node issue 64500), before the agent says a word. */
const mostStarts = 3;

/**
 * Starts the agent's pod `kcorder/kcorder-agent` from the sources as they are now. Every start is a new pod, with a uid and
 * container ids of its own, as when a DaemonSet replaces one. Resolves when the agent has begun to log; one that crashed before is started
 * again, as a kubelet does, and that is told.
 */
export async function startAgent(node: Host, options: AgentOptions): Promise<void> {
  for (let start = 1; ; start += 1) {
    const crash = await startOnce(node, options);
    if (crash === undefined) return;
    if (start === mostStarts) throw new Error(crash);
    say(`${crash}; starting it again`);
    await stopAgent(node, 'KILL');
  }
}

/** Returns what is known of an agent that ended before it said anything. */
async function startOnce(node: Host, options: AgentOptions): Promise<string | undefined> {
  if ((await node.run(`test -e ${currentPath}`)).exitCode === 0) {
    throw new Error(`lab node ${node.name} has an agent already: stop it first`);
  }
  for (const port of portsOf(options)) await node.forward(port);
  const directory = `/run/lab/pods/kcorder_kcorder-agent.${Date.now()}`;
  const source = `/var/lib/agent-source`;
  // Without fixtures: one holds the VMCOREINFO of another boot, which a stock Volatility may take for the node's when it finds it in the page cache.
  const without = ['--exclude=*.test.ts', '--exclude=testing'];
  await send(node, source, ['-C', repoDir, ...without, '--transform=s,^,app/,', 'agent', 'proto']);
  await sendIdentity(node, options, directory);
  const tarPath = join(node.state.folder, `agent-${Date.now()}.tar`);
  await writeTar(tarPath, podFiles(agentPod(options, node.state.accel, source, directory), '.'));
  await node.must(`tar -x -C ${quote(directory)}`, { stdin: createReadStream(tarPath) });
  rmSync(tarPath);
  const { exitCode, stderr } = await node.run(
    `start-pod ${quote(directory)} && echo ${quote(directory)} >${currentPath}`,
  );
  if (exitCode !== 0) {
    const why = await node.run(`tail -n 5 ${quote(directory)}/containers/*/runc.log`);
    await node.run(`stop-pod ${quote(directory)} KILL`);
    throw new Error(`the agent's pod did not start on lab node ${node.name}: ${stderr.trim()}\n${why.stdout.trim()}`);
  }
  if ((await node.run(waitForFirstWord(directory))).exitCode === 0) return undefined;
  const why = await node.run(whyNot);
  return `the agent on lab node ${node.name} said nothing: ${why.stdout.trim() || 'no reason is known'}`;
}

/** What can be said of an agent that says nothing: its crash, or what it waits for. */
const whyNot = `dmesg | grep -E 'segfault|traps:' | tail -n 1
  grep -h 'Check failed' $(ls -td /var/log/pods/kcorder_kcorder-agent_*/agent/0.log | head -n 1)
  for pid in $(pgrep -f agent/main.ts); do grep -h State /proc/$pid/status; cat /proc/$pid/wchan; done | tr '\\n' ' '`;

/** Ends with 1 when the container ends, or two minutes pass, before there is a log. */
function waitForFirstWord(directory: string): string {
  // not `runc state`: to start that program costs an emulated processor a second each time
  return `. ${quote(directory)}/pod.env
    log=/var/log/pods/\${POD_NAMESPACE}_\${POD_NAME}_\${POD_UID}/agent/0.log
    for turn in $(seq 600); do
      grep -qs '^{' "$log" && exit 0
      kill -0 "$(cat ${quote(directory)}/containers/agent/pid)" || break
      sleep 0.2
    done
    grep -qs '^{' "$log"`;
}

/** Ends the agent: by `TERM` as Kubernetes does (30 s of grace, then by force), or by `KILL` at once. */
export async function stopAgent(node: Host, signal: 'TERM' | 'KILL' | 'INT' = 'TERM'): Promise<void> {
  await node.must(`test ! -e ${currentPath} || { stop-pod "$(cat ${currentPath})" ${signal}; rm -f ${currentPath}; }`);
}

/** What the running agent has logged so far. */
export async function agentLog(node: Host): Promise<string> {
  return await node.must('cat $(ls -td /var/log/pods/kcorder_kcorder-agent_*/agent/0.log | head -n 1)');
}

/** The collector's ports, and another that the agent is told in its stead. */
function portsOf(options: AgentOptions): Set<number> {
  const told = /^10\.0\.2\.2:(\d+)$/.exec(options.env?.KCORDER_COLLECTOR ?? '')?.[1];
  const { collectorPort, enrol } = options;
  return new Set([collectorPort, ...(enrol ? [enrol.port] : []), ...(told ? [Number(told)] : [])]);
}

function agentPod(options: AgentOptions, accel: string, source: string, directory: string): PodDefinition {
  // Emulated vector instructions make ChaCha20 three times as slow as none; those for SHA-256 alone make it twice as fast.
  const emulated = accel === 'tcg' ? { OPENSSL_ia32cap: '0x0:0x20000000' } : {};
  const env = {
    ...emulated,
    KCORDER_COLLECTOR: `10.0.2.2:${options.collectorPort}`,
    ...(options.enrol && { KCORDER_ENROL: `10.0.2.2:${options.enrol.port}` }),
    ...options.env,
  };
  const readOnly = (from: string, to: string) => ({
    destination: to,
    type: 'bind',
    source: from,
    options: ['rbind', 'ro'],
  });
  return {
    namespace: 'kcorder',
    name: 'kcorder-agent',
    host: 30,
    ports: [],
    containers: [
      {
        name: 'agent',
        image: `${source}:/opt/agent-runtime`,
        args: ['/usr/local/bin/node', ...agentArguments, '/app/agent/main.ts'],
        env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
        privileged: options.privileged ?? true,
        mounts: [
          {
            destination: '/run/kcorder',
            type: 'tmpfs',
            source: 'run',
            options: ['nosuid', 'nodev', 'mode=700', 'size=1m'],
          },
          ...(options.enrol === undefined
            ? [readOnly(`${directory}/tls`, '/etc/kcorder/tls')]
            : [
                readOnly(`${directory}/secret`, '/var/run/secrets/kcorder'),
                readOnly(`${directory}/trust`, '/etc/kcorder/trust'),
              ]),
          readOnly('/etc', '/host/etc'),
          readOnly('/var/log/containers', '/host/var/log/containers'),
        ],
      },
    ],
  };
}

/** Puts what the agent shows beside its pod, where the agent looks for it by default. */
async function sendIdentity(node: Host, { certDir, enrol }: AgentOptions, directory: string): Promise<void> {
  if (enrol === undefined) {
    await send(node, `${directory}/tls`, ['-C', certDir, 'ca.crt', 'tls.crt', 'tls.key']);
    return;
  }
  const put = async (text: string, folder: string, name: string): Promise<void> => {
    const place = quote(`${directory}/${folder}`);
    const stdin = Readable.from([Buffer.from(text)]);
    await node.must(`umask 077; mkdir -p ${place}; cat >${place}/${name}`, { stdin });
  };
  await put(enrol.token, 'secret', 'token');
  await put(readFileSync(enrol.caPath, 'utf8'), 'trust', 'ca.crt');
}

async function send(node: Host, folder: string, what: string[]): Promise<void> {
  const tarPath = join(node.state.folder, `send-${Date.now()}.tar`);
  await command('tar', ['-c', '-f', tarPath, '--owner=0', '--group=0', ...what]);
  await node.must(`rm -rf ${quote(folder)}; mkdir -p ${quote(folder)}; tar -x -C ${quote(folder)}`, {
    stdin: createReadStream(tarPath),
  });
  rmSync(tarPath);
}
