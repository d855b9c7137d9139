import { pino } from 'pino';
import { runAgent } from '../../agent/agent.ts';
import type { Config } from '../../agent/config.ts';
import type { SystemPaths } from '../../agent/system.ts';
import { requireModernTls } from '../../agent/tls.ts';
import { readLeaf } from './leaf.ts';

/** What an agent of a bench is told. */
export interface AgentOptions {
  /** host:port. */
  readonly collector: string;
  /** With ca.crt, tls.crt and tls.key. */
  readonly tlsDir: string;
  readonly avmlPath: string;
  readonly avmlSha256: string;
  readonly runDir: string;
  readonly system: SystemPaths;
}

// The real agent in all but two things: the machine's files and AVML are recorded ones. Its log goes to standard output.
requireModernTls();
const options = JSON.parse(process.argv[2] ?? '') as AgentOptions;
const config: Config = {
  collector: options.collector,
  identity: readLeaf(options.tlsDir),
  serverName: undefined,
  avmlPath: options.avmlPath,
  avmlSha256: options.avmlSha256,
  runDir: options.runDir,
  hostRoot: '/host',
  logLevel: 'info',
  metricsListen: '',
};
const ending = new AbortController();
for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => ending.abort());
const log = pino({ name: 'kcorder-agent' }, pino.destination({ fd: 1, sync: true }));
await runAgent(config, options.system, log, ending.signal);
process.exit(0);
