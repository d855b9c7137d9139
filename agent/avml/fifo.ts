// Why it is done this way: docs/decisions/007-fifo.md

import { closeSync, constants, mkdirSync, openSync, readdirSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { output } from './process.ts';

/** Where bytes go as they are read. */
export interface Sink {
  /** Free space to read into, never empty. */
  space(): Uint8Array;
  /** The next `count` bytes of the space are filled. False: read no more until `resume` is called. */
  filled(count: number): boolean;
}

/** A FIFO of this agent, held open at both ends. */
export interface Fifo {
  readonly path: string;
  /** Starts to read into the sink. Settles at the end of the bytes, which comes after `closeWriter` only. */
  readInto(sink: Sink): Promise<void>;
  /** Goes on after the sink said stop. */
  resume(): void;
  /** The program that wrote has ended: what is still in the FIFO is the rest. */
  closeWriter(): void;
  /** Closes both ends and removes it; again is harmless. A program that still writes gets EPIPE. */
  close(): void;
}

const suffix = '.fifo';

/** Makes the folder, and removes what an agent that was killed left in it. */
export function clearFifos(dir: string): void {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(dir)) if (name.endsWith(suffix)) rmSync(join(dir, name), { force: true });
}

/**
 * Makes a FIFO that only root can open. It is open for reading and for writing before the writer comes: so the writer's own opening
 * never waits for a reader, and the reader sees no end before the writer came, nor when it dies without having come at all.
 */
export async function openFifo(dir: string, name: string): Promise<Fifo> {
  const path = join(dir, `${name}${suffix}`);
  await output('mkfifo', ['-m', '600', path]);
  let [readFd, writeFd]: [number | undefined, number | undefined] = [undefined, undefined];
  let socket: Socket | undefined;
  const closeWriter = (): void => {
    if (writeFd !== undefined) closeSync(writeFd);
    writeFd = undefined;
  };
  const close = (): void => {
    rmSync(path, { force: true });
    closeWriter();
    if (socket !== undefined) socket.destroy();
    else if (readFd !== undefined) closeSync(readFd);
    readFd = undefined;
  };
  try {
    readFd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    writeFd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch (error) {
    close();
    throw error;
  }
  const fd = readFd;
  return {
    path,
    readInto: (sink) =>
      new Promise((resolve, reject) => {
        // A socket over the descriptor reads straight into our memory, at seven times the speed of a file stream.
        socket = new Socket({ fd, readable: true, writable: false, onread: intoSink(sink) });
        socket.once('end', resolve);
        socket.once('error', reject);
        socket.once('close', () => resolve());
        socket.resume();
      }),
    resume: () => socket?.resume(),
    closeWriter,
    close,
  };
}

function intoSink(sink: Sink) {
  return {
    buffer: () => sink.space(),
    callback: (count: number) => sink.filled(count),
  };
}
