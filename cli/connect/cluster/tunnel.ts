import { Duplex, PassThrough, Writable } from 'node:stream';
import { Fault } from '@kcorder/proto/fault.ts';
import { type KubeConfig, PortForward } from '@kubernetes/client-node';
import type { Api } from './api.ts';
import { denial, silence } from './api-faults.ts';
import { connectRole, type Release } from './release.ts';

/** Port of the collector's pod that people call. */
const apiPort = 7444;
const mostBytesUnderWay = 1 << 20;
const lookAgainMs = 5;

/** The part of a WebSocket that is used here. */
interface Socket {
  readonly bufferedAmount: number;
  on(event: 'close', listener: () => void): void;
  pause(): void;
  resume(): void;
  terminate(): void;
}

/** Opens one connection to the collector's port in its pod, through the API server. */
export async function openTunnel(kubeconfig: KubeConfig, api: Api, release: Release, pod: string): Promise<Duplex> {
  const tunnel = new Tunnel(pod);
  try {
    const socket = await new PortForward(kubeconfig).portForward(
      release.namespace,
      pod,
      [apiPort],
      tunnel.received,
      tunnel.complaints,
      tunnel.sent,
    );
    if (typeof socket === 'function') throw new Fault('internal', 'the port-forward came without its socket');
    tunnel.over(socket);
    if (tunnel.errored !== null) throw tunnel.errored;
    return tunnel;
  } catch (error) {
    throw await refusal(api, release, pod, error);
  }
}

/** A refused handshake comes as an event whose sentence holds the status, and nothing of what the API server said. */
async function refusal(api: Api, { namespace, fullname }: Release, pod: string, event: unknown): Promise<Fault> {
  const error = typeof event === 'object' && event !== null && 'error' in event ? event.error : event;
  const status = Number(/Unexpected server response: (\d+)/.exec(error instanceof Error ? error.message : '')?.[1]);
  if (Number.isNaN(status)) return silence(api.server, error);
  // A WebSocket begins with a GET; from 1.35 on the API server asks for the right to create as well.
  const asked = { verb: 'get and create', resource: 'pods/portforward', namespace, role: connectRole(fullname) };
  const user = status === 403 ? await api.whoAmI() : undefined;
  const said = user === undefined ? `pod ${pod}: status ${status}` : `User "${user}"`;
  return denial(api.server, asked, status, said, error);
}

/** The bytes of one forwarded connection. Neither side runs ahead of a slow reader. */
class Tunnel extends Duplex {
  readonly #pod: string;
  #socket: Socket | undefined;
  /** Takes what client-node sends, which asks nobody whether there is room. */
  readonly sent = new PassThrough();
  readonly received = new Writable({
    write: (chunk, _encoding, done) => {
      if (!this.push(chunk)) this.#socket?.pause();
      done();
    },
  });
  /** What the node says of a connection that it could not make. */
  readonly complaints = new Writable({
    write: (chunk, _encoding, done) => {
      if (chunk.length > 0) this.destroy(this.#complaint(String(chunk)));
      done();
    },
  });

  constructor(pod: string) {
    super();
    this.#pod = pod;
    // It may break before anybody listens; who uses it afterwards sees that it is destroyed.
    this.on('error', () => undefined);
  }

  over(socket: Socket): void {
    this.#socket = socket;
    socket.on('close', () => {
      if (!this.destroyed) this.push(null);
    });
    if (this.destroyed) socket.terminate();
  }

  #complaint(text: string): Fault {
    const why = text.trim().replace(/\s*\n\s*/g, '; ');
    return new Fault(
      'unavailable',
      `pod ${this.#pod} does not take connections on port ${apiPort}: ${why}. Is KCORDER_API_LISTEN set for the collector?`,
    );
  }

  override _read(): void {
    this.#socket?.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.sent.write(chunk);
    this.#whenTaken(done);
  }

  #whenTaken(done: () => void): void {
    if (this.destroyed || (this.#socket?.bufferedAmount ?? 0) < mostBytesUnderWay) done();
    else setTimeout(() => this.#whenTaken(done), lookAgainMs);
  }

  override _final(done: () => void): void {
    this.sent.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket?.terminate();
    done(error);
  }
}
