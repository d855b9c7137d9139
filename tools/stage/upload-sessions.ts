import type { IncomingMessage } from 'node:http';
import type { Answer } from './gcs-answers.ts';

type Forwarded = Pick<IncomingMessage, 'method' | 'url' | 'headers'>;

/** What is known of a session. */
interface Session {
  takenBytes: number;
  final: Answer | undefined;
}

/**
 * Upload sessions as Google's server has them. fake-gcs-server takes a question for the offset (`Content-Range: bytes *\/N`) for the end of the
 * upload (its open bug 2354), appends chunks wherever they belong, and forgets a session with its final answer: all that is done here instead.
 */
export class UploadSessions {
  readonly #forward: (incoming: Forwarded, body: Buffer) => Promise<Answer>;
  readonly #sessions = new Map<string, Session>();
  readonly ids: string[] = [];

  constructor(forward: (incoming: Forwarded, body: Buffer) => Promise<Answer>) {
    this.#forward = forward;
  }

  forget(url: string): void {
    this.#sessions.delete(idOf(url) ?? '');
  }

  /** Answers a request; with `isHalf` only the first half of a chunk arrives. */
  async answer(incoming: IncomingMessage, body: Buffer, isHalf: boolean): Promise<Answer> {
    const id = idOf(incoming.url);
    if (id === undefined) {
      const answer = await this.#forward(incoming, body);
      const begun = idOf(answer.headers.location);
      if (begun !== undefined) {
        this.ids.push(begun);
        this.#sessions.set(begun, { takenBytes: 0, final: undefined });
      }
      return answer;
    }
    const session = this.#sessions.get(id);
    if (session === undefined) return { status: 410, headers: {}, body: Buffer.from('{}') };
    if (session.final !== undefined) return session.final;
    const [, from, total = ''] = /^bytes (?:(\d+)-\d+|\*)\/(\d+)$/.exec(incoming.headers['content-range'] ?? '') ?? [];
    if (from === undefined && total !== '0') return incomplete(session.takenBytes);
    if (from !== undefined && Number(from) !== session.takenBytes)
      return { status: 503, headers: {}, body: Buffer.from('a chunk that does not begin where the last one ended') };
    return await this.#take(session, incoming, isHalf ? wholeQuanta(body) : body, Number(total));
  }

  async #take(session: Session, incoming: IncomingMessage, body: Buffer, totalBytes: number): Promise<Answer> {
    const end = session.takenBytes + body.length;
    if (body.length === 0 && totalBytes > 0) return incomplete(session.takenBytes);
    if (end < totalBytes && body.length % quantumBytes !== 0)
      return { status: 400, headers: {}, body: Buffer.from('a chunk that is no multiple of 256 KiB') };
    const range = body.length === 0 ? 'bytes */0' : `bytes ${session.takenBytes}-${end - 1}/${totalBytes}`;
    const { method, url, headers } = incoming;
    const answer = await this.#forward({ method, url, headers: { ...headers, 'content-range': range } }, body);
    if (answer.status === 308) {
      session.takenBytes = end;
      return incomplete(end);
    }
    session.final = answer;
    return answer;
  }
}

const quantumBytes = 256 << 10;

const wholeQuanta = (body: Buffer): Buffer =>
  body.subarray(0, Math.floor(body.length / 2 / quantumBytes) * quantumBytes);

const incomplete = (takenBytes: number): Answer => ({
  status: 308,
  headers: takenBytes === 0 ? {} : { range: `bytes=0-${takenBytes - 1}` },
  body: Buffer.alloc(0),
});

const idOf = (url: string | undefined): string | undefined => /[?&]upload_id=([^&]+)/.exec(url ?? '')?.[1];
