import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Where a node's exec-server answers, and the token it asks for. */
export interface ExecAddress {
  port: number;
  token: string;
}

export interface ExecRequest {
  command: string;
  stdin?: AsyncIterable<Uint8Array>;
  onStdout: (bytes: Buffer) => void | Promise<void>;
  onStderr: (bytes: Buffer) => void | Promise<void>;
  signal?: AbortSignal | undefined;
}

interface Frame {
  kind: string;
  payload: Buffer;
}

interface Connection {
  socket: Socket;
  frames: AsyncGenerator<Frame, void, undefined>;
}

const frameLimitBytes = 65_536;
const connectAttempts = 20;

/** The last connection being made to each port: QEMU's user-mode network holds one at a time and drops or resets the others. */
const opening = new Map<number, Promise<unknown>>();

/** Runs one shell command on a node and resolves to its exit code (128 + n for signal n). The protocol is told in exec-server.c. */
export async function exec(address: ExecAddress, request: ExecRequest): Promise<number> {
  const { signal } = request;
  const { socket, frames } = await open(address, signal);
  const cancel = () => socket.destroy();
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    signal?.throwIfAborted();
    socket.write(frame('c', Buffer.from(request.command)));
    sendStdin(socket, request.stdin).catch((error: unknown) =>
      socket.destroy(error instanceof Error ? error : undefined),
    );
    for await (const { kind, payload } of frames) {
      if (kind === 'x') return payload.readUInt32BE(0);
      await (kind === 'o' ? request.onStdout(payload) : request.onStderr(payload));
    }
    throw new Error(`the lab node closed the connection before the command ended: ${request.command.slice(0, 200)}`);
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', cancel);
    socket.destroy();
  }
}

/** A connection that was let in; those of this process are made one after the other. */
async function open(address: ExecAddress, signal: AbortSignal | undefined): Promise<Connection> {
  const before = opening.get(address.port) ?? Promise.resolve();
  const own = before.then(() => tryToOpen(address, signal));
  opening.set(
    address.port,
    own.catch(() => undefined),
  );
  return await own;
}

/** Another process may connect at the same time: what is reset before we were let in is made again. */
async function tryToOpen(address: ExecAddress, signal: AbortSignal | undefined): Promise<Connection> {
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted();
    const socket = connect({ host: '127.0.0.1', port: address.port, noDelay: true });
    // errors reach us by the iteration over the frames; without a listener the event would end the process
    socket.on('error', () => undefined);
    socket.write(address.token);
    const frames = readFrames(socket);
    const cancel = () => socket.destroy();
    signal?.addEventListener('abort', cancel, { once: true });
    const first = await frames.next().catch((cause: unknown) => ({ value: undefined, cause }));
    signal?.removeEventListener('abort', cancel);
    if (first.value?.kind === 'h') return { socket, frames };
    socket.destroy();
    signal?.throwIfAborted();
    if (attempt === connectAttempts) {
      throw new Error(`the lab node behind port ${address.port} lets nobody in: is it still up?`, {
        cause: 'cause' in first ? first.cause : undefined,
      });
    }
    await sleep(20 + Math.random() * 20 * attempt);
  }
}

async function sendStdin(socket: Socket, stdin: AsyncIterable<Uint8Array> | undefined): Promise<void> {
  for await (const bytes of stdin ?? []) {
    for (let at = 0; at < bytes.length; at += frameLimitBytes) {
      if (socket.destroyed) return;
      if (!socket.write(frame('i', bytes.subarray(at, at + frameLimitBytes)))) await once(socket, 'drain');
    }
  }
  if (!socket.destroyed) socket.write(frame('e', new Uint8Array()));
}

async function* readFrames(socket: Socket): AsyncGenerator<Frame, void, undefined> {
  let pending: Buffer = Buffer.alloc(0);
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    let at = 0;
    while (pending.length - at >= 5) {
      const end = at + 5 + pending.readUInt32BE(at + 1);
      if (pending.length < end) break;
      yield { kind: String.fromCharCode(pending[at] ?? 0), payload: pending.subarray(at + 5, end) };
      at = end;
    }
    pending = pending.subarray(at);
  }
}

function frame(kind: string, payload: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(5 + payload.length);
  bytes.write(kind, 0, 'latin1');
  bytes.writeUInt32BE(payload.length, 1);
  bytes.set(payload, 5);
  return bytes;
}
