import { execFileSync } from 'node:child_process';
import { createHash, createPublicKey, verify, X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { type CallContext, serve } from '@kcorder/proto/bridge/serve.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { EnrolmentService, type EnrolRequest } from '@kcorder/proto/gen/kcorder/v1/enrolment_pb.ts';
import type { Authority } from '../../tools/certificates.ts';

/** What an answer can be bent to. */
interface Answer {
  certificate: string;
  trustBundle: string;
}

/** The api port of a collector as an agent sees it: server TLS only, certificates for node lab-1, with uid-1, uid-2, … in the order of their issue. */
export class LoopbackEnrolment {
  readonly #authority: Authority;
  /** Used join tokens, with the key that each was shown by. */
  readonly #used = new Map<string, string>();
  #server: Server | undefined;
  #port = 0;
  /** Every request whose proof was right, refused ones too. */
  readonly requests: EnrolRequest[] = [];
  /** What was shown at each renewal. */
  readonly renewedBy: X509Certificate[] = [];
  issued = 0;
  /** Throws a fault, or changes the answer. */
  bend: (answer: Answer) => Partial<Answer> | undefined = () => undefined;
  /** Alternative names of the certificates, with the number of the issue. */
  names = (number: number): string => `URI:spiffe://kcorder/node/lab-1/uid-${number}`;

  constructor(authority: Authority) {
    this.#authority = authority;
  }

  get address(): string {
    return `localhost:${this.#port}`;
  }

  /** Listens, after a stop on the same port again; with the certificate of its own authority unless told otherwise. */
  async start({ ca, certificate, key } = this.#authority.server()): Promise<void> {
    const server = new Server();
    const edge = { admit: () => undefined, ended: () => undefined };
    const handlers = {
      enrol: async (request: EnrolRequest) => this.#enrol(request),
      createJoinToken: () => Promise.reject(new Fault('permission_denied', 'not here')),
    };
    serve(server, EnrolmentService, handlers, edge);
    const credentials = ServerCredentials.createSsl(ca, [{ cert_chain: certificate, private_key: key }], false);
    this.#port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(`localhost:${this.#port}`, credentials, (error, port) =>
        error ? reject(error) : resolve(port),
      );
    });
    this.#server = server;
  }

  /** Uses a join token up. */
  use(token: string): void {
    this.#used.set(token, '');
  }

  stop(): void {
    this.#server?.forceShutdown();
    this.#server = undefined;
  }

  /** The same on the port of the agents: the next certificate has the names of the one that is shown. */
  renew(request: EnrolRequest, { peerCertificate }: Pick<CallContext, 'peerCertificate'>, names?: string): Answer {
    if (request.credential.case === 'joinToken') throw new Fault('invalid_argument', 'a join token has no place here');
    const shown = new X509Certificate(peerCertificate ?? Buffer.alloc(0));
    this.renewedBy.push(shown);
    return this.#enrol(request, names ?? shown.subjectAltName);
  }

  #enrol(request: EnrolRequest, names = this.names(this.issued + 1)): Answer {
    const token = request.credential.value ?? '';
    const key = createPublicKey({ key: Buffer.from(request.publicKey), format: 'der', type: 'spki' });
    const shown = createHash('sha256').update(token).digest();
    const message = Buffer.concat([Buffer.from('kcorder enrolment v1\n'), shown]);
    if (!verify('sha256', message, key, request.proof)) throw new Fault('invalid_argument', 'the proof is none');
    this.requests.push(request);
    if (request.credential.case === 'joinToken') {
      const shownBy = Buffer.from(request.publicKey).toString('hex');
      if ((this.#used.get(token) ?? shownBy) !== shownBy) throw new Fault('unauthenticated', 'the join token is used');
      this.#used.set(token, shownBy);
    }
    const certificate = this.#issue(key.export({ type: 'spki', format: 'pem' }).toString(), names);
    const answer = { certificate, trustBundle: this.#authority.ca.toString() };
    return { ...answer, ...this.bend(answer) };
  }

  #issue(publicKey: string, names: string): string {
    this.issued += 1;
    const at = (name: string): string => join(this.#authority.dir, name);
    writeFileSync(at('enrolled.pub'), publicKey);
    const usages =
      'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n';
    writeFileSync(at('enrolled.ext'), `${usages}subjectAltName=${names}\n`);
    const signer = ['-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-CAcreateserial', '-extfile', at('enrolled.ext')];
    const what = ['-new', '-force_pubkey', at('enrolled.pub'), '-subj', '/CN=lab-1', '-days', '1'];
    execFileSync('openssl', ['x509', ...what, ...signer, '-out', at('enrolled.crt')], { stdio: 'pipe' });
    return readFileSync(at('enrolled.crt'), 'utf8');
  }
}
