import type { DescService } from '@bufbuild/protobuf';
import type { Calls } from '@kcorder/proto/bridge/connect.ts';

type AnyCall = (...given: unknown[]) => unknown;

/** Calls that wait for a good token before they begin. Those that stream both ways begin with the last one that was fetched. */
export function authorised<S extends DescService>(service: S, calls: Calls<S>, renew: () => Promise<void>): Calls<S> {
  const waiting: Record<string, unknown> = {};
  for (const { localName, methodKind } of service.methods) {
    const call = (calls as Record<string, AnyCall>)[localName];
    if (call !== undefined) waiting[localName] = kinds[methodKind](call, renew);
  }
  return waiting as Calls<S>;
}

const unchanged = (call: AnyCall): AnyCall => call;

const kinds: Record<
  DescService['methods'][number]['methodKind'],
  (call: AnyCall, renew: () => Promise<void>) => AnyCall
> = {
  unary:
    (call, renew) =>
    async (...given) => {
      await renew();
      return call(...given);
    },
  server_streaming: (call, renew) =>
    async function* (...given) {
      await renew();
      yield* call(...given) as AsyncIterable<unknown>;
    },
  bidi_streaming: unchanged,
  client_streaming: unchanged,
};
