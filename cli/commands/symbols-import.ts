import { type FileHandle, open } from 'node:fs/promises';
import { basename } from 'node:path';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Duplex } from '@kcorder/proto/bridge/connect.ts';
import type {
  ImportSymbolsRequestSchema,
  ImportSymbolsResponse,
  KernelSymbols,
} from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import { unread } from '../calls/input-file.ts';
import { answered, printKernel } from '../calls/symbols.ts';
import { exitCode } from '../exit-code.ts';
import { bytesText } from '../output/figures.ts';
import { startLiveLine } from '../output/live-line.ts';
import type { Session } from '../session.ts';

type Request = MessageInitShape<typeof ImportSymbolsRequestSchema>;

const pieceBytes = 256 << 10;

/** `kcorder symbols import FILE [--build-id ID]`: hands an ISF to the collector, which checks and keeps it. */
export async function symbolsImport(session: Session, path: string, buildId: string | undefined): Promise<number> {
  await using file = await open(path, 'r').catch((error: unknown) => {
    throw unread(path, error);
  });
  const kernel = await send(session, file, path, buildId ?? '');
  printKernel(session, kernel);
  return exitCode.ok;
}

async function send(session: Session, file: FileHandle, path: string, buildId: string): Promise<KernelSymbols> {
  const { symbols: calls, terminal, paint } = session;
  const { size } = await file.stat();
  const fileName = basename(path);
  let sentBytes = 0;
  using _line = startLiveLine(terminal.err, paint, () =>
    sentBytes < size
      ? `importing ${fileName}: ${bytesText(sentBytes)} of ${bytesText(size)}`
      : `importing ${fileName}: the collector checks it`,
  );
  const call = calls.importSymbols({ signal: terminal.interrupt });
  const answer = answerOf(call);
  // Read below at every piece; until then nobody looks at it.
  answer.catch(() => undefined);
  try {
    // A refusal ends the call while pieces are still on their way: its sentence counts, not what became of the piece.
    const sent = (message: Request): Promise<unknown> => Promise.race([call.send(message).catch(() => answer), answer]);
    let reply = await sent({ message: { case: 'head', value: { fileName, buildId, size: BigInt(size) } } });
    while (reply === undefined) {
      const data = await pieceOf(file, path, sentBytes);
      if (data.length === 0) break;
      reply = await sent({ message: { case: 'data', value: data } });
      sentBytes += data.length;
    }
    call.end();
    return answered(await answer, fileName);
  } catch (error) {
    call.cancel();
    throw error;
  }
}

async function pieceOf(file: FileHandle, path: string, offsetBytes: number): Promise<Buffer> {
  try {
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(pieceBytes), 0, pieceBytes, offsetBytes);
    return buffer.subarray(0, bytesRead);
  } catch (error) {
    throw unread(path, error);
  }
}

/** The one answer, once the call has ended: left earlier, its end would find nobody. */
async function answerOf(call: Duplex<Request, ImportSymbolsResponse>): Promise<KernelSymbols | undefined> {
  let kernel: KernelSymbols | undefined;
  for await (const { symbols } of call.responses) kernel = symbols;
  return kernel;
}
