/** What the network said, without the "fetch failed" or "terminated" around it. */
export function networkReason(error: unknown): string {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (inner instanceof AggregateError && inner.errors[0] instanceof Error) return inner.errors[0].message;
  return inner instanceof Error ? inner.message : String(inner);
}

/** Whether it is the certificate: one that does not hold will not hold in a second either. */
export function isCertificate(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  return /CERT|ERR_TLS|ERR_SSL|UNABLE_TO_VERIFY/.test(code);
}
