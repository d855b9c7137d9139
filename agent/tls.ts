import tls from 'node:tls';

/**
 * TLS 1.3 only, for the whole process since grpc-js has no setting for it. ChaCha20 goes before AES: it is the faster one without fast AES
 * in hardware (three times on an emulated processor) and no slower with it. AES-256 is not offered, because a collector would take it first.
 */
export function requireModernTls(): void {
  tls.DEFAULT_MIN_VERSION = 'TLSv1.3';
  tls.DEFAULT_CIPHERS = 'TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256';
}
