import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { messageLimitBytes, transportOptions } from '@kcorder/proto/bridge/channel.ts';
import { type CallContext, type Edge, serve } from '@kcorder/proto/bridge/serve.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { AgentService } from '@kcorder/proto/gen/kcorder/v1/agent_pb.ts';
import { IngestService } from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
import { OperatorService } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { SymbolsService } from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import { type AttachmentEvents, serveAttachment } from '../fleet/attachment.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { Acquisitions } from '../ingest/acquisitions.ts';
import type { TypesTransfers } from '../ingest/kernel-types.ts';
import { receiveUpload } from '../ingest/uploads.ts';
import { addHealth } from './health.ts';
import type { OperatorHandlers } from './operator.ts';
import { admit, callingNode } from './policy.ts';
import { addReflection } from './reflection.ts';
import type { SymbolsHandlers } from './symbols.ts';

/** What the server's calls reach. */
export interface Rooms {
  readonly version: string;
  readonly fleet: Fleet;
  readonly acquisitions: Acquisitions;
  readonly typesTransfers: TypesTransfers;
  readonly attachmentEvents: AttachmentEvents;
  readonly operator: OperatorHandlers;
  readonly symbols: SymbolsHandlers;
  /** Sees every call's ending. */
  ended(context: CallContext, fault: Fault | undefined): void;
}

/** A server that listens. */
export interface RunningServer {
  readonly port: number;
  /** Takes no new calls, gives the open ones a moment, then ends. */
  close(): Promise<void>;
}

const closingMs = 5_000;

/** Listens with mutual TLS on host:port (port 0: any). Throws config_invalid when the TLS files or the address cannot be used. */
export async function listen(address: string, tlsDir: string, rooms: Rooms): Promise<RunningServer> {
  const server = new Server({
    ...transportOptions,
    'grpc.max_receive_message_length': messageLimitBytes,
    'grpc.max_concurrent_streams': 32,
  });
  const edge: Edge = { admit, ended: rooms.ended };
  serve(server, OperatorService, rooms.operator, edge);
  serve(server, SymbolsService, rooms.symbols, edge);
  serve(
    server,
    AgentService,
    {
      attach: (requests, context) =>
        serveAttachment(
          requests,
          callingNode(context),
          rooms.fleet,
          rooms.attachmentEvents,
          rooms.version,
          context.signal,
        ),
    },
    edge,
  );
  serve(
    server,
    IngestService,
    {
      upload: (requests, context) => receiveUpload(requests, callingNode(context), rooms.acquisitions, context.signal),
      sendKernelTypes: (requests, context) =>
        rooms.typesTransfers.serve(requests, callingNode(context), context.signal),
    },
    edge,
  );
  addHealth(server);
  addReflection(server);
  const credentials = await serverCredentials(tlsDir);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, credentials, (error, bound) => {
      if (error === null) resolve(bound);
      else
        reject(
          new Fault('config_invalid', `the collector cannot listen on ${address}: see whether another program does`, {
            cause: error,
          }),
        );
    });
  });
  return {
    port,
    close: async () => {
      const timer = setTimeout(() => server.forceShutdown(), closingMs);
      await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      clearTimeout(timer);
    },
  };
}

async function serverCredentials(tlsDir: string): Promise<ServerCredentials> {
  const read = async (name: string): Promise<Buffer> =>
    await readFile(join(tlsDir, name)).catch((error: unknown) => {
      throw new Fault('config_invalid', `${join(tlsDir, name)} cannot be read: put ca.crt, tls.crt and tls.key there`, {
        cause: error,
      });
    });
  const [ca, certificate, key] = await Promise.all([read('ca.crt'), read('tls.crt'), read('tls.key')]);
  try {
    // Without a CA of its own grpc-js would trust the public ones for client certificates.
    return ServerCredentials.createSsl(ca, [{ cert_chain: certificate, private_key: key }], true);
  } catch (error) {
    throw new Fault('config_invalid', `the certificate and key in ${tlsDir} cannot be used together: issue them anew`, {
      cause: error,
    });
  }
}
