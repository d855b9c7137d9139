import { Fault } from '@kcorder/proto/fault.ts';
import type { EvidenceHeader } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { pause, pauseMs, worthAnotherTry } from '../follow/pause.ts';
import { leavable } from '../follow/stream.ts';
import type { Session } from '../session.ts';
import type { PartFile } from './part-file.ts';

/** How to carry evidence over. */
export interface TransferOptions {
  readonly signal: AbortSignal;
  /** Told the header of every stream; throws when this evidence is not wanted. */
  began(header: EvidenceHeader): void;
  /** Told at every break of the stream, with the pause before the next attempt. */
  broke(fault: Fault, pauseMs: number): void;
}

const failuresInARow = 6;

/** Appends what is missing of an image to a part file; a broken stream goes on from the file's end. Returns the evidence's header. */
export async function transfer(
  calls: Session['calls'],
  captureId: string,
  part: PartFile,
  options: TransferOptions,
): Promise<EvidenceHeader> {
  const { signal } = options;
  let failures = 0;
  let header: EvidenceHeader | undefined;
  for (;;) {
    const startBytes = part.sizeBytes;
    let fault: Fault;
    try {
      const request = { captureId, offset: startBytes };
      for await (const message of leavable((own) => calls.downloadEvidence(request, { signal: own }), signal)) {
        if (message.header !== undefined) {
          header = sameEvidence(header, message.header, part);
          options.began(header);
        }
        if (message.data.length > 0) await appendChecked(part, header, message);
      }
      if (header !== undefined && part.sizeBytes === header.size) return header;
      fault = new Fault('unavailable', 'the collector ended the stream before the end of the image');
    } catch (error) {
      signal.throwIfAborted();
      fault = Fault.from(error);
      if (header === undefined || fault.code === 'storage_failed') throw fault;
      if (!worthAnotherTry(fault, part.sizeBytes > startBytes ? 0 : failures)) throw fault;
    }
    failures = part.sizeBytes > startBytes ? 1 : failures + 1;
    if (failures === failuresInARow) throw fault;
    options.broke(fault, pauseMs(failures, fault));
    await pause(pauseMs(failures, fault), signal);
  }
}

function sameEvidence(known: EvidenceHeader | undefined, told: EvidenceHeader, part: PartFile): EvidenceHeader {
  if (part.sizeBytes > told.size) {
    throw new Fault(
      'integrity_conflict',
      `${part.path} holds ${part.sizeBytes} bytes and the evidence only ${told.size}: it belongs to something else. Move it away, or choose another name with -f.`,
    );
  }
  if (known !== undefined && (known.size !== told.size || known.sha256 !== told.sha256)) {
    throw new Fault(
      'integrity_conflict',
      'the evidence changed on the collector during the download. Sealed evidence must never change: examine the collector.',
    );
  }
  return told;
}

async function appendChecked(
  part: PartFile,
  header: EvidenceHeader | undefined,
  message: { readonly offset: bigint; readonly data: Uint8Array },
): Promise<void> {
  if (header === undefined) throw new Fault('internal', 'the collector sent data before its header');
  const end = message.offset + BigInt(message.data.length);
  if (message.offset !== part.sizeBytes || end > header.size) {
    throw new Fault(
      'integrity_conflict',
      `the collector sent bytes ${message.offset} to ${end} of ${header.size} where those from ${part.sizeBytes} on were due. Try again; if it happens again, report it.`,
    );
  }
  await part.append(message.data);
}
