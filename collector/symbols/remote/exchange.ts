import { redirectRefusal, refusal, shown } from './address.ts';
import { Body } from './body.ts';
import { isCertificate, networkReason } from './network-reason.ts';
import type { Timeouts } from './timeouts.ts';

/** One request up to the header of its answer. */
export type Exchange =
  | { readonly kind: 'answer'; readonly status: number; readonly headers: Headers; readonly body: Body }
  /** No answer. `again`: another try in a moment may bring one. `transient`: a later one may. */
  | { readonly kind: 'failed'; readonly reason: string; readonly again: boolean; readonly transient: boolean };

const maxRedirects = 5;
const redirects: readonly number[] = [301, 302, 303, 307, 308];

/**
 * Asks by GET and follows redirects (RFC 9110 section 15.4), each checked as the first address is. The answer's body must be read to its end or
 * discarded. Throws the signal's reason only.
 */
export async function exchange(
  url: URL,
  headers: Readonly<Record<string, string>>,
  timeouts: Timeouts,
  signal: AbortSignal,
): Promise<Exchange> {
  const problem = refusal(url);
  if (problem !== undefined) return refused(`is not asked: it ${problem}`);
  let current = url;
  for (let hops = 0; hops <= maxRedirects; hops += 1) {
    const end = await ask(current, headers, timeouts, signal);
    if (end.kind === 'failed' || !redirects.includes(end.status)) return end;
    end.body.discard();
    const location = end.headers.get('location');
    const next = location === null ? null : URL.parse(location, current.href);
    if (next === null) return refused('redirects without saying where to');
    const nextProblem = redirectRefusal(current, next);
    if (nextProblem !== undefined) return refused(`redirects to ${shown(next)}, which ${nextProblem}`);
    // Only the place that the password is for gets it, and no other place chooses one for us.
    const same = next.origin === current.origin;
    next.username = same ? current.username : '';
    next.password = same ? current.password : '';
    current = next;
  }
  return refused(`redirects more than ${maxRedirects} times`);
}

async function ask(
  url: URL,
  headers: Readonly<Record<string, string>>,
  timeouts: Timeouts,
  signal: AbortSignal,
): Promise<Exchange> {
  signal.throwIfAborted();
  const stop = new AbortController();
  const onAbort = () => stop.abort(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  const release = () => signal.removeEventListener('abort', onAbort);
  const late = new Error(`gave no answer within ${timeouts.headersMs / 1000} s`);
  const timer = setTimeout(() => stop.abort(late), timeouts.headersMs);
  try {
    const response = await fetch(withoutLogin(url), {
      headers: { 'user-agent': 'kcorder', ...login(url), ...headers },
      redirect: 'manual',
      signal: stop.signal,
    });
    const body = new Body(response, stop, signal, timeouts.idleMs, release);
    return { kind: 'answer', status: response.status, headers: response.headers, body };
  } catch (error) {
    release();
    signal.throwIfAborted();
    if (error === late) return { kind: 'failed', reason: late.message, again: true, transient: true };
    const reason = `could not be reached (${networkReason(error)})`;
    return { kind: 'failed', reason, again: !isCertificate(error), transient: true };
  } finally {
    clearTimeout(timer);
  }
}

function refused(reason: string): Exchange {
  return { kind: 'failed', reason, again: false, transient: false };
}

/** fetch refuses URLs that carry a login. */
function withoutLogin(url: URL): URL {
  const bare = new URL(url);
  bare.username = '';
  bare.password = '';
  return bare;
}

/** Basic authentication (RFC 7617) from the URL's own user and password. */
function login({ username, password }: URL): Record<string, string> {
  if (username === '' && password === '') return {};
  const text = [username, password].map(decode).join(':');
  return { authorization: `Basic ${Buffer.from(text).toString('base64')}` };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A percent sign that was meant as itself.
    return text;
  }
}
