import { readFileSync } from 'node:fs';

/** What a Node process has open besides its connections, generously. */
const besides = 100;

/** Throws when a process may not open so many connections. Node itself raises its soft limit to the hard one, so it is the hard one that counts. */
export function checkOpenFiles(pid: number, connections: number, what: string): void {
  const [, limit = '0'] = /^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/limits`, 'utf8')) ?? [];
  if (Number(limit) >= connections + besides) return;
  throw new Error(
    `${what} may open ${limit} files and needs ${connections + besides}: raise the hard limit of the shell first (ulimit -Hn)`,
  );
}

/** How many connections to a port of the loopback stand. */
export function standingConnections(port: number): number {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const established = '01';
  const lines = readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1);
  return lines.filter((line) => {
    const [, address, , state] = line.trim().split(/\s+/);
    return address === local && state === established;
  }).length;
}
