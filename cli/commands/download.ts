import { readFile, writeFile } from 'node:fs/promises';
import { Fault } from '@kcorder/proto/fault.ts';
import { OutcomeKind } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { type EvidenceHeader, EvidenceHeaderSchema } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { resolveId, sealedImage } from '../calls/resolve-capture.ts';
import { exists, openPartFile, type PartFile, privateMode, taken, told } from '../download/part-file.ts';
import { transfer } from '../download/transfer.ts';
import { exitCode } from '../exit-code.ts';
import { createMeter } from '../follow/meter.ts';
import { documentOf } from '../output/document.ts';
import { bytesText, spanText, transferText } from '../output/figures.ts';
import { tableOf } from '../output/grid.ts';
import { startLiveLine } from '../output/live-line.ts';
import { because, outcomeWord } from '../render/capture-words.ts';
import type { Session } from '../session.ts';

/** `kcorder download CAPTURE|NODE [-f FILE]`: fetches an image, going on where FILE.part ends, and keeps it only if its SHA-256 is right. */
export async function download(session: Session, target: string, file: string | undefined): Promise<number> {
  const captureId = await resolveId(session, target, sealedImage);
  const path = file ?? defaultName(captureId);
  const manifestPath = `${path}.manifest.json`;
  if (await exists(path)) throw taken(path);
  await using part = await openPartFile(`${path}.part`);
  if (part.sizeBytes > 0n) session.note(`going on after the ${bytesText(part.sizeBytes)} in ${part.path}`);
  const header = await fetchInto(session, captureId, part);
  await verify(part, header, captureId);
  await writeManifest(manifestPath, header.manifest);
  await part.finish(path);
  report(session, header, path, manifestPath);
  if (header.outcome?.kind === OutcomeKind.COMPLETE) return exitCode.ok;
  const why = because(header.outcome) || 'no reason given';
  session.warn(`${outcomeWord(header.outcome)} evidence: ${path} holds only what was acquired: ${why}`);
  return exitCode.partial;
}

function defaultName(captureId: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(captureId)) return `${captureId}.lime`;
  throw new Fault('invalid_argument', `capture id "${captureId}" makes no file name. Give one with -f.`);
}

async function fetchInto(session: Session, captureId: string, part: PartFile): Promise<EvidenceHeader> {
  const { calls, terminal, paint } = session;
  const meter = createMeter();
  let size = 0n;
  const text = (): string => {
    if (size === 0n) return '';
    const nowMs = Date.now();
    const done = Number(part.sizeBytes) / Number(size);
    meter.add(nowMs, Number(part.sizeBytes), done);
    return `downloading ${captureId}: ${transferText(part.sizeBytes, size, meter.rate(nowMs), meter.leftMs(nowMs))}`;
  };
  using line = startLiveLine(terminal.err, paint, text);
  try {
    return await transfer(calls, captureId, part, {
      signal: terminal.interrupt,
      began: (header) => {
        size = header.size;
        text();
      },
      broke: (_fault, pauseMs) =>
        line.warn(`the connection to the collector broke; trying again in ${spanText(Math.max(1000, pauseMs))}`),
    });
  } catch (error) {
    if (size > 0n)
      line.say(
        `${bytesText(part.sizeBytes)} of ${bytesText(size)} are in ${part.path}; the same command goes on from there`,
      );
    throw error;
  }
}

async function verify(part: PartFile, header: EvidenceHeader, captureId: string): Promise<void> {
  const found = part.sha256();
  if (found === header.sha256) return;
  const aside = await part.reject();
  throw new Fault(
    'checksum_mismatch',
    `the SHA-256 of the downloaded image of capture ${captureId} is ${found} and should be ${header.sha256}. The bytes are in ${aside}; the same command starts anew.`,
  );
}

async function writeManifest(path: string, manifest: Uint8Array): Promise<void> {
  if (await exists(path)) {
    // An attempt that was stopped just before its last step leaves the same manifest behind.
    if (Buffer.compare(await told(path, () => readFile(path)), manifest) !== 0) throw taken(path);
    return;
  }
  await told(path, () => writeFile(path, manifest, { flag: 'wx', mode: privateMode, flush: true }));
}

function report(session: Session, header: EvidenceHeader, path: string, manifestPath: string): void {
  const { manifest: _bytes, ...facts } = header;
  const columns = ['FILE', 'MANIFEST', 'SIZE', 'OUTCOME', 'SHA-256'].map((title) => ({ title }));
  session.print({
    document: () => ({
      file: path,
      manifestFile: manifestPath,
      ...Object(documentOf(EvidenceHeaderSchema, { ...facts, manifest: new Uint8Array() })),
    }),
    table: (look) =>
      tableOf(columns, [[path, manifestPath, bytesText(header.size), outcomeWord(header.outcome), header.sha256]], {
        ...look,
        wide: true,
      }),
  });
}
