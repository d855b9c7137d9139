import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { causeChain, Fault } from '@kcorder/proto/fault.ts';
import type { Logger } from 'pino';
import { Backoff, type BackoffRange } from '../backoff.ts';
import { type Credential, type Enrolled, readCredential } from './enrol.ts';

/** When a certificate is asked for. */
export interface Renewal {
  /** Part of a certificate's life after which it is renewed. */
  readonly share: number;
  /** Part of its life by which this is put off at random, so that a cluster's agents do not come at once. */
  readonly jitter: number;
  /** Never sooner after the one before, whatever its life is. */
  readonly floorMs: number;
  /** After a file that is missing, or a collector that is not there. */
  readonly absent: BackoffRange;
  /** After a refusal. */
  readonly refused: BackoffRange;
}

/** Renewed at half its life. A collector that refuses is asked about once a minute after the first few times. */
export const renewal: Renewal = {
  share: 0.5,
  jitter: 0.05,
  floorMs: 60_000,
  absent: { minMs: 500, maxMs: 20_000 },
  refused: { minMs: 2_000, maxMs: 90_000 },
};

/** What keeping an identity works with. */
export interface KeepDeps {
  readonly tokenFile: string;
  readonly enrol: (credential: Credential) => Promise<Enrolled>;
  /** Gets the next certificate by the last one: alone, since a join token works once, or beside the pod's token. */
  readonly renew: (last: Enrolled, credential: Credential | undefined) => Promise<Enrolled>;
  /** Takes each certificate into use. */
  readonly take: (enrolled: Enrolled) => void;
  readonly renewal: Renewal;
  readonly log: Logger;
  /** Milliseconds since 1970, for what is logged of a certificate's end, and for a node that was suspended. */
  readonly now: () => number;
}

/**
 * Enrols, and again whenever a part of the certificate's life is over, until the signal fires. What fails is tried again for ever; the last
 * certificate stays meanwhile. Times are counted from the answer, because the node's clock may be wrong.
 */
export async function keepIdentity(deps: KeepDeps, signal: AbortSignal): Promise<void> {
  const { tokenFile, renewal, log } = deps;
  const absent = new Backoff(renewal.absent);
  const refused = new Backoff(renewal.refused);
  const spent = new SpentToken();
  let last: Enrolled | undefined;
  while (!signal.aborted) {
    let credential: Credential | undefined;
    let isRenewal = false;
    try {
      credential = spent.unlessSpent(() => readCredential(tokenFile), last !== undefined);
      if (credential !== undefined) last = await enrolOrRenew(deps, last, credential, signal);
      else if (last !== undefined) {
        isRenewal = true;
        last = await deps.renew(last, undefined);
      } else {
        // Nothing but another token will do, and looking at the file costs nobody anything.
        await absent.wait(signal);
        continue;
      }
      spent.note(credential);
      deps.take(last);
      absent.reset();
      refused.reset();
      const waitMs = untilRenewal(last, renewal);
      log.info({ uri: last.uri, notAfter: last.notAfter, renewalInMs: Math.round(waitMs) }, 'certificate issued');
      await passed(waitMs, deps.now, signal);
    } catch (error) {
      if (signal.aborted) return;
      const fault = Fault.from(error);
      const isSpent = credential?.case === 'joinToken' && fault.code === 'unauthenticated';
      if (isSpent) spent.note(credential);
      const level = last !== undefined && isOver(last, deps.now()) ? 'error' : 'warn';
      const facts = { fault: fault.code, causes: causeChain(fault), meanwhile: meanwhile(last, deps.now()) };
      log[level](facts, isSpent ? tokenRefused(tokenFile) : isRenewal ? notRenewed(tokenFile) : notIssued);
      await (fault.code === 'unavailable' ? absent : refused).wait(signal, fault.retryAfterMs).catch(() => undefined);
    }
  }
}

/**
 * Shows a pod's token beside the last certificate, if there is one: the collector then counts the agent by its node,
 * not among all callers at its address. If that fails, the token is shown alone. The collector decides whether the
 * certificate holds, since the node's clock may be wrong.
 */
async function enrolOrRenew(
  { enrol, renew, log }: KeepDeps,
  last: Enrolled | undefined,
  credential: Credential,
  signal: AbortSignal,
): Promise<Enrolled> {
  if (last === undefined || credential.case === 'joinToken') return await enrol(credential);
  try {
    return await renew(last, credential);
  } catch (error) {
    signal.throwIfAborted();
    const fault = Fault.from(error);
    // The collector asks the same API server for both ports.
    if (fault.code === 'cluster_unavailable') throw fault;
    log.warn({ fault: fault.code, causes: causeChain(fault) }, besideRefused);
    return await enrol(credential);
  }
}

/** Remembers the join token that was shown last, which works no second time. */
class SpentToken {
  #digest: string | undefined;

  /** What to show; undefined while there is nothing but the spent token. Throws what `read` throws, unless a certificate has come by that token. */
  unlessSpent(read: () => Credential, hasCertificate: boolean): Credential | undefined {
    try {
      const credential = read();
      return digest(credential) === this.#digest ? undefined : credential;
    } catch (error) {
      if (hasCertificate && this.#digest !== undefined) return undefined;
      throw error;
    }
  }

  note(credential: Credential | undefined): void {
    if (credential?.case === 'joinToken') this.#digest = digest(credential);
    else if (credential !== undefined) this.#digest = undefined;
  }
}

/** Milliseconds from the answer until the next one is asked for. */
export function untilRenewal(
  { notBefore, notAfter }: Pick<Enrolled, 'notBefore' | 'notAfter'>,
  { share, jitter, floorMs }: Renewal,
  random: number = Math.random(),
): number {
  const lifeMs = notAfter.getTime() - notBefore.getTime();
  return Math.max(floorMs, lifeMs * (share + jitter * random));
}

const longestStepMs = 60_000;

/**
 * Waits until a time has passed by the wall clock or by the monotonic one, whichever is first: the latter stands still, and all timers with it,
 * while the node is suspended. Rejects when the signal fires.
 */
async function passed(ms: number, now: () => number, signal: AbortSignal): Promise<void> {
  const [sinceMs, monotonicSinceMs] = [now(), performance.now()];
  const leftMs = (): number => ms - Math.max(now() - sinceMs, performance.now() - monotonicSinceMs);
  const stepMs = Math.min(longestStepMs, ms / 30);
  do await sleep(Math.min(stepMs, Math.max(0, leftMs())), undefined, { signal });
  while (leftMs() > 0);
}

const besideRefused = 'the certificate was not renewed over mutual TLS; showing the token alone';

const notIssued = 'no certificate was issued; trying again';

const notRenewed = (tokenFile: string): string =>
  `the certificate was not renewed; trying again, and with another join token as soon as it is in ${tokenFile}`;

const tokenRefused = (tokenFile: string): string =>
  `the join token was refused: it works once, and for a short time; make another one and put it into ${tokenFile}`;

const isOver = ({ notAfter }: Enrolled, nowMs: number): boolean => notAfter.getTime() <= nowMs;

function meanwhile(last: Enrolled | undefined, nowMs: number): string {
  if (last === undefined) return 'there is no certificate yet, so the agent cannot attach';
  const until = last.notAfter.toISOString();
  return isOver(last, nowMs)
    ? `the last certificate expired at ${until}: connections ended with it, and new ones are refused`
    : `the last certificate is good until ${until}`;
}

const digest = ({ value }: Credential): string => createHash('sha256').update(value).digest('hex');
