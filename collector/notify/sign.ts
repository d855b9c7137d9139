import { createHmac } from 'node:crypto';

/** What the header Kcorder-Signature says of a body that is sent now. */
export function sign(secret: string, nowMs: number, body: string): string {
  const seconds = Math.floor(nowMs / 1000);
  const hmac = createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex');
  return `t=${seconds},v1=${hmac}`;
}
