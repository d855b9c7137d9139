import { createServer, type IncomingMessage, type Server, type ServerOptions, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

type Constructor = ConstructorParameters<typeof ServerResponse<IncomingMessage>>;

/** For the head of a request and for its whole, until the next one, and between two looks at who is over it, in ms; and bytes of a head. */
const limits: ServerOptions = {
  headersTimeout: 5_000,
  requestTimeout: 5_000,
  keepAliveTimeout: 2_000,
  connectionsCheckingInterval: 1_000,
  maxHeaderSize: 8 << 10,
};

/**
 * Makes an HTTP server that ends a connection whose next request arrives before the answer to the one before is sent. Node reads pipelined requests
 * without a bound while an answer is pending, and holds each of them; Prometheus, the kubelet and Volatility send none.
 */
export function oneRequestServer(answer: (request: IncomingMessage, response: ServerResponse) => void): Server {
  const pending = new WeakSet<Socket>();
  // Made for every request, also those that Node answers itself: without a host, or with an expectation.
  class OneResponse extends ServerResponse<IncomingMessage> {
    constructor(...given: Constructor) {
      super(...given);
      const { socket } = given[0];
      if (pending.has(socket)) socket.destroy();
      else this.once('finish', () => pending.delete(socket));
      pending.add(socket);
    }
  }
  return createServer({ ...limits, ServerResponse: OneResponse }, (request, response) => {
    if (!request.socket.destroyed) answer(request, response);
  });
}
