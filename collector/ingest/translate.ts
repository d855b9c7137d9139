import { type Timestamp, timestampDate } from '@bufbuild/protobuf/wkt';
import { Fault } from '@kcorder/proto/fault.ts';
import type { UploadFinish, UploadOpen } from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
import type { LeftOutMemory as LeftOutMemoryMessage } from '@kcorder/proto/gen/kcorder/v1/node_pb.ts';
import type { AcquisitionEnd, AcquisitionStart, LeftOutMemory } from '../capture/capture.ts';

const iso = (time: Timestamp | undefined): string => (time === undefined ? '' : timestampDate(time).toISOString());

/** Names of containers, as JSON. 4,096 of the longest usual names take less; a control character takes six bytes. */
const mostNameBytes = 3 << 19;

/** The start facts of an open, as the journal keeps them. Throws invalid_argument. */
export function startOf(open: UploadOpen, now: Date): AcquisitionStart {
  const { start } = open;
  if (start?.acquirer === undefined || open.acquisitionId === '' || open.attempt < 1) {
    throw new Fault(
      'invalid_argument',
      `the open of capture ${open.captureId} lacks its acquisition, attempt or start facts`,
    );
  }
  const { name, version, sha256 } = start.acquirer;
  const leftOutMemory = leftOutOf(start.leftOutMemory);
  const containers = start.containers.map(({ podNamespace, podName, podUid, containerName, containerId }) => ({
    podNamespace,
    podName,
    podUid,
    containerName,
    containerId,
  }));
  const nameBytes = Buffer.byteLength(JSON.stringify(containers));
  if (nameBytes > mostNameBytes) {
    throw new Fault(
      'invalid_argument',
      `the open of capture ${open.captureId} was refused: its containers take ${nameBytes} bytes as JSON, more than ${mostNameBytes}. Check the agent`,
    );
  }
  const startedAt = start.startedAt === undefined ? now : timestampDate(start.startedAt);
  return {
    acquisitionId: open.acquisitionId,
    acquirer: { name, version, sha256 },
    argv: start.argv,
    startedAtAgent: startedAt.toISOString(),
    openedAt: now.toISOString(),
    clockOffsetMs: startedAt.getTime() - now.getTime(),
    bootId: start.bootId,
    containers,
    ...(leftOutMemory.length === 0 ? {} : { leftOutMemory }),
  };
}

/** Returns the memory that the node says was left out; a kind that is no name of a driver becomes `unnamed`. */
function leftOutOf(told: readonly LeftOutMemoryMessage[]): LeftOutMemory[] {
  return told
    .filter(({ bytes }) => bytes > 0n)
    .map(({ kind, bytes }) => ({ kind: /^[\w-]{1,32}$/.test(kind) ? kind : 'unnamed', bytes: Number(bytes) }));
}

/** The end facts of a finish, as the journal keeps them. */
export function endOf(finish: UploadFinish): AcquisitionEnd {
  return {
    bytes: Number(finish.bytes),
    sha256: Buffer.from(finish.sha256).toString('hex'),
    exitCode: finish.exitCode,
    signal: finish.signal,
    stderrTail: finish.stderrTail.slice(-4096),
    firstByteAtAgent: iso(finish.firstByteAt),
    lastByteAtAgent: iso(finish.lastByteAt),
    endedAtAgent: iso(finish.endedAt),
    canceled: finish.canceled,
  };
}
