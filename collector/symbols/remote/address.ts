/** Whether a URL's host is this machine itself: 127.0.0.0/8, [::1] or localhost. The URL parser has already normalised other spellings. */
function isLoopback({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

/** Why nothing may be asked at this address, as a clause about it; undefined when it may be. */
export function refusal(url: URL): string | undefined {
  if (url.protocol === 'https:') return undefined;
  if (url.protocol !== 'http:') return `is ${url.protocol.slice(0, -1)}, and only https is used`;
  return isLoopback(url) ? undefined : 'is http, and without TLS only loopback addresses are asked';
}

/**
 * Why `from` may not send us to `to`, as a clause about `to`; undefined when it may. Another machine never sends us to a service of this one:
 * what listens on loopback trusts whoever reaches it.
 */
export function redirectRefusal(from: URL, to: URL): string | undefined {
  if (isLoopback(to) && !isLoopback(from)) return 'is this machine itself, and another one pointed there';
  return refusal(to);
}

/** A URL in texts for people: without user, password, query and fragment, where secrets may be. */
export function shown(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

/** The URL of something below a base; the base's query (a signature, say) stays. Each segment becomes exactly one path segment. */
export function below(base: URL, ...segments: readonly string[]): URL {
  const url = new URL(base);
  url.pathname = [url.pathname.replace(/\/+$/, ''), ...segments.map(encodeURIComponent)].join('/');
  url.hash = '';
  return url;
}
