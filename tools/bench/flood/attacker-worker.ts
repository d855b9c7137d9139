import { readFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { readLeaf } from '../leaf.ts';
import { attacks } from './attacks.ts';

/** What the attacker is told. */
export interface AttackerOptions {
  readonly attack: string;
  readonly port: number;
  readonly apiPort: number;
  /** PEM of whoever may vouch for the server. */
  readonly caPath: string;
  readonly tlsDir: string;
  readonly seconds: number;
}

// One attacker process: attacks for some seconds, then says how its calls ended.
// A real one has a machine of its own: here it takes only the time that the server and its good client leave.
setPriority(19);
const { attack, port, apiPort, caPath, tlsDir, seconds } = JSON.parse(process.argv[2] ?? '') as AttackerOptions;
const ending = new AbortController();
setTimeout(() => ending.abort(), seconds * 1_000);
const ends: Record<string, number> = {};
await attacks[attack]?.({
  ...{ port, apiPort, ca: readFileSync(caPath), identity: readLeaf(tlsDir) },
  signal: ending.signal,
  ended: (ending) => {
    const how = ending === 'connection' ? ending : `status ${ending.status ?? 'none'}`;
    ends[how] = (ends[how] ?? 0) + 1;
  },
});
process.stdout.write(`${JSON.stringify({ ends })}\n`);
process.exit(0);
