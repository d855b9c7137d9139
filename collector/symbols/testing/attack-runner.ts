import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';

/* Code that a hostile ELF got to run in the builder would try this. Prints the outcome of each attack, one a line. */

const [key = '', image = '', output = ''] = process.argv.slice(2);

const attacks: Readonly<Record<string, () => unknown>> = {
  "read the authority's key": () => fs.readFileSync(key),
  "read the collector's environment": () => fs.readFileSync(`/proc/${process.ppid}/environ`),
  'read the passwords': () => fs.readFileSync('/etc/passwd'),
  'list the folder of the evidence': () => fs.readdirSync(dirname(image)),
  'read the evidence': () => fs.readFileSync(image),
  'overwrite the evidence': () => fs.writeFileSync(image, 'x'),
  'truncate the evidence': () => fs.truncateSync(image),
  'make the evidence writable': () => fs.chmodSync(image, 0o666),
  'rename the evidence': () => fs.renameSync(image, `${image}.old`),
  'remove the evidence': () => fs.unlinkSync(fs.existsSync(image) ? image : `${image}.old`),
  'make a file beside its output': () => fs.writeFileSync(`${output}.more`, 'x'),
  'write its own program': () => fs.appendFileSync(import.meta.filename, ''),
  'start a shell': () => {
    const { error } = spawnSync('/bin/sh', ['-c', 'true']);
    if (error !== undefined) throw error;
  },
  'signal the collector': () => process.kill(process.ppid, 0),
  'open a TCP socket': async () => {
    const socket = connect(9, '127.0.0.1');
    // Nobody listens: a connection that is refused was tried.
    await once(socket, 'connect').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNREFUSED') throw error;
    });
  },
  'open a UDP socket': async () => {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    socket.close();
  },
};

const say = (text: string): void => fs.writeFileSync(1, `${text}\n`);
for (const [name, attack] of Object.entries(attacks)) {
  try {
    await attack();
    say(`${name}: done`);
  } catch (error) {
    say(`${name}: ${(error as NodeJS.ErrnoException).code ?? error}`);
  }
}
fs.writeFileSync(output, 'an ISF');
// The last, as nothing comes after it: Node ends, also when it is refused.
process.execve?.('/bin/sh', ['sh', '-c', 'echo "become a shell: done"'], {});
