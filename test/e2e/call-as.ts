import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { create, type DescMethod } from '@bufbuild/protobuf';
import { type Client, Metadata } from '@grpc/grpc-js';
import { openAnonymousChannel } from '@kcorder/proto/bridge/channel.ts';
import { connect } from '@kcorder/proto/bridge/connect.ts';
import { methodDefinition, pathOf } from '@kcorder/proto/bridge/definition.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { EnrolmentService } from '@kcorder/proto/gen/kcorder/v1/enrolment_pb.ts';
import { OperatorService } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { services } from '@kcorder/proto/services.ts';

// A program of its own, since it has to run in the cluster's network. Reads a job as JSON on standard input, prints endings as JSON.

/** What is to be called, where, and with which tokens by name. */
export interface Job {
  readonly kind: 'every-method' | 'enrol';
  readonly address: string;
  readonly serverName: string;
  readonly ca: string;
  readonly tokens: Readonly<Record<string, string>>;
  /** Paths of the methods; all, unless told otherwise. */
  readonly only?: readonly string[];
}

/** How one call ended. */
export interface Ending {
  readonly token: string;
  readonly path: string;
  /** `ok` or a fault's code. */
  readonly code: string;
  readonly message: string;
}

async function everyMethod(client: Client, token: string, bearer: string): Promise<Ending[]> {
  const endings: Ending[] = [];
  // Calls that a person may make come first: a connection on which call after call of a stranger fails is ended.
  const methods = [OperatorService, ...services.filter((service) => service !== OperatorService)].flatMap(
    (service) => service.methods,
  );
  for (const method of methods.filter((each) => job.only?.includes(pathOf(each)) ?? true)) {
    const fault = await callEmpty(client, method, bearer);
    endings.push({ token, path: pathOf(method), code: fault?.code ?? 'ok', message: fault?.message ?? '' });
  }
  return endings;
}

async function callEmpty(client: Client, method: DescMethod, bearer: string): Promise<Fault | undefined> {
  const { path, requestSerialize, responseDeserialize } = methodDefinition(method);
  const metadata = new Metadata();
  if (bearer !== '') metadata.set('authorization', `Bearer ${bearer}`);
  return await new Promise((resolve) => {
    const deadline = { deadline: Date.now() + 20_000 };
    const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata, deadline);
    stream.on('error', (error) => resolve(Fault.from(error)));
    stream.on('end', () => resolve(undefined));
    stream.resume();
    if (method.methodKind !== 'bidi_streaming') stream.write(create(method.input));
    stream.end();
  });
}

async function enrol(client: Client, token: string, text: string): Promise<Ending> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const digest = createHash('sha256').update(text).digest();
  const path = '/kcorder.v1.EnrolmentService/Enrol';
  try {
    const { certificate } = await connect(EnrolmentService, client).enrol({
      credential: { case: 'serviceAccountToken', value: text },
      publicKey: publicKey.export({ format: 'der', type: 'spki' }),
      proof: sign('sha256', Buffer.concat([Buffer.from('kcorder enrolment v1\n'), digest]), privateKey),
      agentVersion: '0.1.0',
    });
    return { token, path, code: certificate.includes('BEGIN') ? 'ok' : 'empty', message: '' };
  } catch (error) {
    const { code, message } = Fault.from(error);
    return { token, path, code, message };
  }
}

const job = JSON.parse(readFileSync(0, 'utf8')) as Job;
const open = (): Client => openAnonymousChannel(job.address, Buffer.from(job.ca), { serverName: job.serverName });
const client = open();
const endings: Ending[] = [];
for (const [name, text] of Object.entries(job.tokens)) {
  if (job.kind === 'every-method') endings.push(...(await everyMethod(client, name, text)));
  else {
    // The collector ends a connection without a name on which call after call fails.
    const own = open();
    endings.push(await enrol(own, name, text));
    own.close();
  }
}
client.close();
process.stdout.write(JSON.stringify(endings));
process.exit(0);
