import type { DatabaseSync } from 'node:sqlite';
import { Fault } from '@kcorder/proto/fault.ts';
import type { Request } from '../capture/capture.ts';

/** Limits of evidence in bytes, in all and of one node, reservations included; 0: none. */
export interface Quotas {
  readonly quotaBytes: number;
  readonly nodeQuotaBytes: number;
}

const advice =
  "delete evidence that is not needed ('kcorder delete', after 'kcorder release' where it is on hold), or raise";

/** Throws quota_exceeded when a new capture, at its largest, has no room. Call it in the transaction that writes the capture. */
export function checkQuotas(database: DatabaseSync, { quotaBytes, nodeQuotaBytes }: Quotas, request: Request): void {
  const { ceilingBytes, node } = request;
  const ofNode = nodeQuotaBytes === 0 ? 0 : usedBytes(database, node.name);
  if (nodeQuotaBytes > 0 && ofNode + ceilingBytes > nodeQuotaBytes) {
    throw new Fault(
      'quota_exceeded',
      `node ${node.name} needs up to ${ceilingBytes} bytes of evidence, ${ofNode} of the ${nodeQuotaBytes} that each node may have are used: ${advice} KCORDER_NODE_QUOTA_BYTES. Nothing was started`,
    );
  }
  const used = quotaBytes === 0 ? 0 : usedBytes(database, undefined);
  if (quotaBytes > 0 && used + ceilingBytes > quotaBytes) {
    throw new Fault(
      'quota_exceeded',
      `node ${node.name} needs up to ${ceilingBytes} bytes of evidence, ${used} of ${quotaBytes} are used: ${advice} KCORDER_QUOTA_BYTES. Nothing was started`,
    );
  }
}

/** Evidence that is there, what is being sealed, and what running captures may still become. */
function usedBytes(database: DatabaseSync, nodeName: string | undefined): number {
  const ofNode = nodeName === undefined ? '' : 'AND node_name = ?1';
  const row = database
    .prepare(
      `SELECT
         (SELECT coalesce(sum(stored_bytes), 0) FROM storage WHERE place <> 'deleted' ${ofNode})
       + (SELECT coalesce(sum(max(CASE phase WHEN 'sealing' THEN durable_bytes ELSE ceiling_bytes END, 0)), 0) FROM captures
          WHERE phase IN ('requested', 'acquiring', 'sealing') ${ofNode}) AS used`,
    )
    .get(...(nodeName === undefined ? [] : [nodeName]));
  return Number(row?.used);
}
