import { once } from 'node:events';
import type { TlsIdentity } from '@kcorder/proto/bridge/channel.ts';
import { LiveIdentity } from '@kcorder/proto/bridge/live-identity.ts';
import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import { enrolOnce, JoinKey, renewOnce } from './enrol.ts';
import { keepIdentity, type Renewal } from './keep.ts';
import { Trust } from './trust.ts';

/** The agent's identity, wherever it comes from. */
export interface HeldIdentity {
  readonly tls: TlsIdentity | LiveIdentity;
  /** To be awaited before each connection: there is a certificate then, and the authorities are those of this moment. Ends early by the signal. */
  ready(signal: AbortSignal): Promise<void>;
  /** Settles once the signal has fired and nothing is asked for any more. */
  readonly ended: Promise<void>;
}

/** An identity that was given, as it is; or one that is asked for and renewed until the signal fires; `renewed` is told of each but the first. */
export function holdIdentity(
  { identity: source, collector, serverName }: Pick<Config, 'identity' | 'collector' | 'serverName'>,
  renewal: Renewal,
  log: Logger,
  signal: AbortSignal,
  renewed: () => void,
): HeldIdentity {
  if (!('enrol' in source)) return { tls: source, ready: async () => undefined, ended: Promise.resolve() };
  const live = new LiveIdentity();
  const trust = new Trust(source.caFile, log);
  const joinKey = new JoinKey();
  const first = Promise.withResolvers<void>();
  const ended = keepIdentity(
    {
      tokenFile: source.tokenFile,
      enrol: (credential) => {
        const server = { address: source.enrol, ca: trust.bundle(), serverName };
        return enrolOnce(server, credential, signal, joinKey.pairFor(credential));
      },
      renew: ({ certificate, key }, credential) =>
        renewOnce(collector, { ca: trust.bundle(), certificate, key }, credential, serverName, signal),
      take: ({ certificate, key, trustBundle }) => {
        trust.add(trustBundle);
        const isFirst = live.current === undefined;
        live.set({ ca: trust.bundle(), certificate, key });
        first.resolve();
        if (!isFirst) renewed();
      },
      renewal,
      log,
      now: Date.now,
    },
    signal,
  );
  return {
    tls: live,
    ended,
    ready: async (ending) => {
      if (ending.aborted) return;
      if (live.current === undefined) await Promise.race([first.promise, once(ending, 'abort')]);
      const { current } = live;
      if (current === undefined) return;
      const ca = trust.bundle();
      if (!ca.equals(current.ca)) live.set({ ...current, ca });
    },
  };
}
