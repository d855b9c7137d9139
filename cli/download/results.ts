import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { Fault } from '@kcorder/proto/fault.ts';
import type { DownloadResultsResponse, ResultsHeader } from '@kcorder/proto/gen/kcorder/v1/results_pb.ts';
import { leavable } from '../follow/stream.ts';
import { bytesText } from '../output/figures.ts';
import { startLiveLine } from '../output/live-line.ts';
import type { Session } from '../session.ts';
import { privateMode, told } from './part-file.ts';

/** More than a collector makes. */
const mostBytes = 4n << 30n;

/** Writes the results of a capture to a new file; throws checksum_mismatch unless all of it arrived as it was told. */
export async function fetchResults(
  session: Session,
  { captureId, unmask }: { readonly captureId: string; readonly unmask: boolean },
  path: string,
): Promise<ResultsHeader> {
  const { results: calls, terminal, paint } = session;
  await using file = await told(path, () => open(path, 'wx', privateMode));
  const hash = createHash('sha256');
  let header: ResultsHeader | undefined;
  let sizeBytes = 0n;
  using _line = startLiveLine(terminal.err, paint, () =>
    header === undefined
      ? ''
      : `downloading the results of ${captureId}: ${bytesText(sizeBytes)} of ${bytesText(header.size)}`,
  );
  const stream = (signal: AbortSignal): AsyncIterable<DownloadResultsResponse> =>
    calls.downloadResults({ captureId, unmask }, { signal });
  for await (const message of leavable(stream, terminal.interrupt)) {
    header ??= message.header;
    if (header === undefined) throw new Fault('internal', 'the collector sent data before its header. Report it');
    if (header.size > mostBytes)
      throw new Fault('resource_exhausted', `the results have ${header.size} bytes, at most ${mostBytes} are fetched`);
    sizeBytes += BigInt(message.data.length);
    if (sizeBytes > header.size) break;
    hash.update(message.data);
    await told(path, () => file.writeFile(message.data));
  }
  if (header === undefined) throw new Fault('internal', 'the collector sent nothing. Report it');
  const sha256 = hash.digest('hex');
  if (sizeBytes !== header.size || sha256 !== header.sha256)
    throw new Fault(
      'checksum_mismatch',
      `the results of capture ${captureId} are not kept: ${sizeBytes} bytes with the SHA-256 ${sha256} arrived, ${header.size} with ${header.sha256} were told. Try again; if it happens again, report it.`,
    );
  await told(path, () => file.sync());
  return header;
}
