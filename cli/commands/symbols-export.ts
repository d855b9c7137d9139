import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { Fault } from '@kcorder/proto/fault.ts';
import {
  type ExportHeader,
  ExportHeaderSchema,
  type ExportSymbolsResponse,
  type KernelSymbols,
} from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import { listSymbols, resolveKept } from '../calls/symbols.ts';
import { privateMode, told } from '../download/part-file.ts';
import { makeWhole } from '../download/whole-file.ts';
import { exitCode } from '../exit-code.ts';
import { leavable } from '../follow/stream.ts';
import { documentOf } from '../output/document.ts';
import { bytesText } from '../output/figures.ts';
import { tableOf } from '../output/grid.ts';
import { startLiveLine } from '../output/live-line.ts';
import { kernelName } from '../render/symbols-words.ts';
import type { Session } from '../session.ts';

/** `kcorder symbols export KERNEL [-f FILE]`: writes an ISF for any Volatility 3, and keeps the file only if its SHA-256 is right. */
export async function symbolsExport(session: Session, word: string, file: string | undefined): Promise<number> {
  const kernel = resolveKept((await listSymbols(session)).symbols, word);
  const path = file ?? defaultName(kernel);
  const header = await makeWhole(path, '-f', (partPath) => fetchInto(session, kernel, partPath));
  session.print({
    document: () => ({ file: path, ...Object(documentOf(ExportHeaderSchema, header)) }),
    table: (look) =>
      tableOf(
        ['FILE', 'SIZE', 'SHA-256', 'BANNER'].map((title) => ({ title })),
        [[path, bytesText(header.size), header.sha256, header.banner]],
        { ...look, wide: true },
      ),
  });
  return exitCode.ok;
}

function defaultName({ buildId, key }: KernelSymbols): string {
  const name = buildId || key;
  if (/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) return `${name}.json`;
  throw new Fault('invalid_argument', `build-id "${name}" makes no file name. Give one with -f.`);
}

/** Fills a new file; throws checksum_mismatch unless all of it arrived as it was told. */
async function fetchInto(session: Session, kernel: KernelSymbols, path: string): Promise<ExportHeader> {
  const { symbols: calls, terminal, paint } = session;
  await using file = await told(path, () => open(path, 'wx', privateMode));
  const hash = createHash('sha256');
  let header: ExportHeader | undefined;
  let sizeBytes = 0n;
  using _line = startLiveLine(terminal.err, paint, () =>
    header === undefined ? '' : `exporting ${kernelName(kernel)}: ${bytesText(sizeBytes)} of ${bytesText(header.size)}`,
  );
  const request = { key: kernel.key };
  const open_ = (signal: AbortSignal): AsyncIterable<ExportSymbolsResponse> => calls.exportSymbols(request, { signal });
  for await (const message of leavable(open_, terminal.interrupt)) {
    header ??= message.header;
    sizeBytes += BigInt(message.data.length);
    if (header === undefined) throw new Fault('internal', 'the collector sent data before its header. Report it');
    if (sizeBytes > header.size) break;
    hash.update(message.data);
    await told(path, () => file.writeFile(message.data));
  }
  const sha256 = hash.digest('hex');
  if (header === undefined) throw new Fault('internal', 'the collector sent nothing. Report it');
  if (sizeBytes !== header.size || sha256 !== header.sha256) throw broken(kernel, header, { sizeBytes, sha256 });
  await told(path, () => file.sync());
  return header;
}

function broken(kernel: KernelSymbols, header: ExportHeader, found: { sizeBytes: bigint; sha256: string }): Fault {
  const what =
    found.sizeBytes === header.size
      ? `their SHA-256 is ${found.sha256} and should be ${header.sha256}`
      : `${found.sizeBytes < header.size ? `${found.sizeBytes} of` : 'more than'} the ${header.size} bytes that were told arrived`;
  const name = kernelName(kernel);
  return new Fault(
    'checksum_mismatch',
    `the exported symbols of ${name} are not kept: ${what}. Try again; if it happens again, \`kcorder symbols delete\` them and have them found anew.`,
  );
}
