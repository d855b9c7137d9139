/** What an answer told of the object behind a URL, so that another object in its place is noticed. */
export interface ObjectVersion {
  /** Of the whole object; undefined while unknown. */
  readonly sizeBytes: number | undefined;
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
  /** What If-Range may carry (RFC 9110 section 13.1.5); undefined when nothing the server told is strong enough. */
  readonly ifRange: string | undefined;
}

export interface ContentRange {
  readonly offsetBytes: number;
  /** Behind the last byte. */
  readonly endBytes: number;
  /** Of the whole object; undefined when the server does not know it. */
  readonly totalBytes: number | undefined;
}

/** Content-Range of a 206 (RFC 9110 section 14.4); undefined when there is none that holds together. */
export function parseContentRange(text: string | null): ContentRange | undefined {
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/i.exec(text ?? '');
  if (match === null) return undefined;
  const [offsetBytes, lastByte] = [Number(match[1]), Number(match[2])];
  const totalBytes = match[3] === '*' ? undefined : Number(match[3]);
  if (lastByte < offsetBytes || (totalBytes !== undefined && lastByte >= totalBytes)) return undefined;
  return { offsetBytes, endBytes: lastByte + 1, totalBytes };
}

/** `sizeBytes` is the whole object's, as known from elsewhere in the answer. */
export function readVersion(headers: Headers, sizeBytes: number | undefined): ObjectVersion {
  const etag = headers.get('etag') ?? undefined;
  const lastModified = headers.get('last-modified') ?? undefined;
  const ifRange =
    etag === undefined ? strongDate(lastModified, headers.get('date')) : etag.startsWith('"') ? etag : undefined;
  return { sizeBytes, etag, lastModified, ifRange };
}

/** Size of the whole object by a 200: Content-Length, or what debuginfod(8) tells when it sends in chunks. */
export function declaredSize(headers: Headers): number | undefined {
  const text = headers.get('content-length') ?? headers.get('x-debuginfod-size');
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** Whether the bytes are not the object's own, so that no offset and no size means what it says. */
export function isEncoded(headers: Headers): boolean {
  return (headers.get('content-encoding') ?? 'identity').trim().toLowerCase() !== 'identity';
}

/** Whether two answers may be of the same object: nothing that both tell differs. */
export function maybeSame(a: ObjectVersion, b: ObjectVersion): boolean {
  const differs = <T>(one: T | undefined, other: T | undefined) =>
    one !== undefined && other !== undefined && one !== other;
  return !differs(a.etag, b.etag) && !differs(a.lastModified, b.lastModified) && !differs(a.sizeBytes, b.sizeBytes);
}

/** A Last-Modified that is at least a second older than the answer cannot hide a second change (RFC 9110 section 8.8.2.2). */
function strongDate(lastModified: string | undefined, date: string | null): string | undefined {
  if (lastModified === undefined || date === null) return undefined;
  return Date.parse(date) - Date.parse(lastModified) >= 1000 ? lastModified : undefined;
}
