import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { version } from '../version.ts';
import type { Notification } from './notification.ts';
import { sign } from './sign.ts';
import { forSlack } from './slack.ts';
import type { Webhook } from './webhooks.ts';

/** How one attempt ended. Reasons are words, never texts of the other end. */
export type Delivery =
  | { readonly kind: 'delivered' }
  /** The other end has said that it will not take it. */
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string; readonly retryAfterMs: number };

const mostAnswerBytes = 64 * 1024;
const longestRetryAfterMs = 3_600_000;

/**
 * Sends a notification once, within `deadlineMs`. Follows no redirect and keeps nothing of the answer but its status. Throws only the signal's
 * reason.
 */
export async function deliver(
  webhook: Webhook,
  notification: Notification,
  deadlineMs: number,
  signal: AbortSignal,
): Promise<Delivery> {
  const deadline = AbortSignal.timeout(deadlineMs);
  const body = JSON.stringify(webhook.format === 'slack' ? forSlack(notification) : notification);
  try {
    return judge(await post(webhook, notification.id, body, AbortSignal.any([signal, deadline])));
  } catch (error) {
    signal.throwIfAborted();
    return { kind: 'failed', reason: deadline.aborted ? 'timeout' : codeOf(error), retryAfterMs: 0 };
  }
}

interface Answer {
  readonly status: number;
  readonly retryAfter: string | undefined;
}

function post({ url, format, secret }: Webhook, id: string, body: string, signal: AbortSignal): Promise<Answer> {
  const send = url.startsWith('https:') ? requestHttps : requestHttp;
  const headers = {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'user-agent': `kcorder/${version}`,
    connection: 'close',
    'kcorder-delivery': id,
    ...(format === 'kcorder' ? { 'kcorder-signature': sign(secret, Date.now(), body) } : {}),
  };
  return new Promise((resolve, reject) => {
    let answer: Answer | undefined;
    const end = (error: unknown): void => (answer === undefined ? reject(error) : resolve(answer));
    const call = send(url, { method: 'POST', headers, signal }, (response) => {
      answer = { status: response.statusCode ?? 0, retryAfter: response.headers['retry-after'] };
      let bytes = 0;
      // The end of the answer is awaited only to be polite: the status has said everything.
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > mostAnswerBytes) response.destroy();
      });
      response.on('error', end);
      response.on('close', end);
    });
    call.on('error', end);
    // A switch to another protocol is neither an answer nor an error.
    call.on('close', () => end(Object.assign(new Error('there is no answer'), { code: 'NO_ANSWER' })));
    call.end(body);
  });
}

function judge({ status, retryAfter }: Answer): Delivery {
  if (status >= 200 && status < 300) return { kind: 'delivered' };
  const reason = `http_${status}`;
  if (status === 408 || status === 429 || status >= 500)
    return { kind: 'failed', reason, retryAfterMs: retryAfterMs(retryAfter) };
  return { kind: 'refused', reason };
}

function retryAfterMs(text = ''): number {
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isNaN(ms) ? 0 : Math.min(Math.max(ms, 0), longestRetryAfterMs);
}

/** Texts of errors name hosts; their codes do not. */
function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return /^[A-Z][A-Z0-9_]{1,63}$/.test(code) ? code : 'unreachable';
}
