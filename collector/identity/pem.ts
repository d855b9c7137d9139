import { X509Certificate } from 'node:crypto';

const block = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/** The certificates of a PEM text, in its order. Throws for a block that is none. */
export const certificatesOf = (pem: string): X509Certificate[] =>
  (pem.match(block) ?? []).map((one) => new X509Certificate(one));
