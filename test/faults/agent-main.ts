/*
 * The real agent on a machine of recorded files. Arguments: folder for the files, changes to them as JSON, and, if there is one, a folder
 * with files of a real node, by the names that SystemPaths gives them, which take the place of those made up.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { runAgent } from '../../agent/agent.ts';
import { readConfig } from '../../agent/config.ts';
import { makeSystemTree, type TreeChanges } from '../../agent/testing/system-tree.ts';
import { requireModernTls } from '../../agent/tls.ts';

requireModernTls();
const [treeDir = '', changes = '{}', recordedDir] = process.argv.slice(2);
const config = readConfig();
const log = pino({ level: config.logLevel }, pino.destination({ fd: 2, sync: true }));
const ending = new AbortController();
process.on('SIGTERM', () => ending.abort());
// A Buffer among them has become an object on its way.
const bytes = (_key: string, value: { type?: string; data?: number[] } | null): unknown =>
  value?.type === 'Buffer' ? Buffer.from(value.data ?? []) : value;
const made = makeSystemTree(treeDir, JSON.parse(changes, bytes) as TreeChanges);
const names = recordedDir === undefined ? [] : readdirSync(recordedDir);
const recorded = Object.fromEntries(names.map((name) => [name, join(recordedDir ?? '', name)]));
await runAgent(config, { ...made, ...recorded }, log, ending.signal);
process.exit(0);
