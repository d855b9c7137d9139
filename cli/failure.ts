import type { Metadata } from '@grpc/grpc-js';
import { causeChain, Fault, faults } from '@kcorder/proto/fault.ts';
import { exitCode } from './exit-code.ts';

/** How a failed run ends: what a person reads, without the program's name, and the exit code. */
export interface Failure {
  readonly sentence: string;
  readonly exit: number;
}

/** Any thrown value as the end of a run. */
export function failureOf(error: unknown, address: string | undefined): Failure {
  if (!(error instanceof Fault)) {
    return {
      sentence: `a defect of kcorder itself: ${causeChain(error).join('; caused by ')}. Please report it with the command that you ran.`,
      exit: exitCode.failure,
    };
  }
  const sentence = spokenByCollector(error) ? error.message : (transportProblem(error, address) ?? error.message);
  return { sentence: ended(capitalFree(sentence)), exit: faults[error.code].exit };
}

/** Whether the collector itself named this fault; otherwise the connection to it did, or this program. */
export function spokenByCollector(fault: Fault): boolean {
  return hasMetadata(fault.cause) && fault.cause.metadata.get('kcorder-fault').length > 0;
}

function transportProblem(fault: Fault, address: string | undefined): string | undefined {
  // Left to itself, a call is canceled only by the person at the keyboard.
  if (fault.code === 'canceled' && fault.cause instanceof Error && !(fault.cause instanceof Fault))
    return 'interrupted';
  if (!hasMetadata(fault.cause)) return undefined;
  const place = `the collector at ${address ?? 'the given address'}`;
  if (fault.code === 'deadline_exceeded') {
    return `${place} did not answer in time. Check the address and the network, and try again`;
  }
  if (fault.code === 'unimplemented')
    return `${place} does not know this command. Is it older than this program? See \`kcorder version\``;
  if (fault.code !== 'unavailable') return `the call to ${place} failed: ${fault.message}`;
  const found = problems.find(([pattern]) => pattern.test(fault.message));
  return `${place} ${found?.[1] ?? `cannot be reached: ${fault.message}`}`;
}

const problems: readonly (readonly [RegExp, string])[] = [
  [/ECONNREFUSED/, 'refused the connection. Is it running, and is the port right?'],
  [
    /ENOTFOUND|EAI_AGAIN|Name resolution failed/,
    'cannot be found: its name does not resolve. Check --collector or KCORDER_COLLECTOR',
  ],
  [
    /EHOSTUNREACH|ENETUNREACH|ETIMEDOUT/,
    'is out of reach: no way through the network. Check the address and the network',
  ],
  [
    /self.signed|unable to (?:verify|get)|issuer|signature failure/i,
    'showed a certificate that ca.crt did not sign. Is it the right collector, and ca.crt that of its authority?',
  ],
  [
    /altnames|Hostname\/IP/,
    'showed a certificate for another name. Use a name or an address that its certificate carries',
  ],
  [/certificate has expired/, 'showed an expired certificate. Renew it on the collector'],
  [/not yet valid/, 'showed a certificate that is not valid yet. Compare the clocks of both machines'],
  [
    /alert|certificate required|unknown ca/i,
    'refused the client certificate. Is tls.crt signed by the authority that the collector trusts, and not expired?',
  ],
  [/wrong version number|packet length too long|EPROTO/i, 'does not speak TLS 1.3 there. Is the port right?'],
  [
    /ECONNRESET|socket hang up|closed before|dropped|Failed to connect/i,
    'closed the connection. It may have restarted, or refused the client certificate (tls.crt). Try again',
  ],
];

function hasMetadata(cause: unknown): cause is Error & { metadata: Metadata } {
  return cause instanceof Error && 'metadata' in cause;
}

function capitalFree(sentence: string): string {
  return /^[A-Z][a-z]/.test(sentence) ? sentence.charAt(0).toLowerCase() + sentence.slice(1) : sentence;
}

function ended(sentence: string): string {
  return /[.?!…]$/.test(sentence) ? sentence : `${sentence}.`;
}
