import type { DescService } from '@bufbuild/protobuf';
import type { Calls } from '@kcorder/proto/bridge/connect.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import type { Bearer } from './bearer.ts';

type AnyCall = (...given: unknown[]) => unknown;

/** Calls that wait for a good token before they begin, and begin again with another one when that is refused. Those that stream both ways begin with the last one that was fetched. */
export function authorised<S extends DescService>(service: S, calls: Calls<S>, bearer: Bearer): Calls<S> {
  const waiting: Record<string, unknown> = {};
  for (const { localName, methodKind } of service.methods) {
    const call = (calls as Record<string, AnyCall>)[localName];
    if (call !== undefined) waiting[localName] = kinds[methodKind](call, bearer);
  }
  return waiting as Calls<S>;
}

const unchanged = (call: AnyCall): AnyCall => call;

const kinds: Record<DescService['methods'][number]['methodKind'], (call: AnyCall, bearer: Bearer) => AnyCall> = {
  unary:
    (call, bearer) =>
    async (...given) => {
      await bearer.renew();
      const { token } = bearer;
      try {
        const answer = await call(...given);
        bearer.accept();
        return answer;
      } catch (error) {
        if (!(await isReplaced(bearer, token, error))) throw error;
        return await call(...given);
      }
    },
  server_streaming: (call, bearer) =>
    async function* (...given) {
      await bearer.renew();
      const { token } = bearer;
      let hasBegun = false;
      try {
        for await (const message of call(...given) as AsyncIterable<unknown>) {
          if (!hasBegun) bearer.accept();
          hasBegun = true;
          yield message;
        }
        return;
      } catch (error) {
        // Whoever has messages knows where to go on.
        if (!(await isReplaced(bearer, token, error)) || hasBegun) throw error;
      }
      yield* call(...given) as AsyncIterable<unknown>;
    },
  bidi_streaming: unchanged,
  client_streaming: unchanged,
};

/** Returns true if a call was refused for its token, and there is another by now. */
async function isReplaced(bearer: Bearer, token: string, error: unknown): Promise<boolean> {
  return Fault.from(error).code === 'unauthenticated' && (await bearer.replace(token));
}
