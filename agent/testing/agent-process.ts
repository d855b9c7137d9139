import { join } from 'node:path';
import { pino } from 'pino';
import { runAgent, tuning } from '../agent.ts';
import { readConfig } from '../config.ts';
import { requireModernTls } from '../tls.ts';
import { makeSystemTree } from './system-tree.ts';

// The agent as a process of its own, as main.ts runs it, except that it looks at a tree of recorded files: `agent-process.ts DIR`.
requireModernTls();
const [, , dir = ''] = process.argv;
const ending = new AbortController();
process.on('SIGTERM', () => ending.abort());
const log = pino({}, pino.destination({ fd: 2, sync: true }));
await runAgent(readConfig(), makeSystemTree(join(dir, 'system')), log, ending.signal, tuning);
process.exit(0);
