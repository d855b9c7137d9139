import { pino } from 'pino';
import { unmask } from '../preflight/unmask.ts';
import type { SystemPaths } from '../system.ts';

// Unmasks a tree of recorded files in the mount namespace that it is started in: `unmask-process.ts SYSTEM`, the paths of the tree as JSON. Prints
// why something stays masked.
const [, , paths = ''] = process.argv;
const system = { ...(JSON.parse(paths) as SystemPaths), mountinfo: '/proc/self/mountinfo' };
const log = pino({}, pino.destination({ fd: 2, sync: true }));
process.stdout.write(JSON.stringify((await unmask(system, log)) ?? null));
