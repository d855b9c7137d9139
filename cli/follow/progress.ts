import { type Capture, Phase } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { bytesText, rateText, spanText } from '../output/figures.ts';
import { hasEnded, phaseWord, waitingText } from '../render/capture-words.ts';
import { createMeter } from './meter.ts';

/** What there is to say about a capture on its way. */
export interface Progress {
  /** Takes the newest state; true when the phase changed. */
  update(capture: Capture, nowMs: number): boolean;
  /** One line; empty before the first state. */
  text(nowMs: number): string;
}

/** Progress of one capture: phase, bytes of the image, part, speed and time left. */
export function createProgress(): Progress {
  const meter = createMeter();
  let latest: Capture | undefined;
  let phaseSinceMs = 0;
  return {
    update: (capture, nowMs) => {
      const changed = latest?.phase !== capture.phase || latest.waiting !== capture.waiting;
      if (changed) phaseSinceMs = nowMs;
      latest = capture;
      if (capture.phase === Phase.ACQUIRING) meter.add(nowMs, Number(capture.durableBytes), partOf(capture));
      return changed;
    },
    text: (nowMs) => {
      if (latest === undefined) return '';
      if (hasEnded(latest)) return '';
      const head = `${latest.nodeName}: ${doingOf(latest)}`;
      if (latest.phase !== Phase.ACQUIRING) {
        const bytes = latest.durableBytes > 0n ? `  ${bytesText(latest.durableBytes)}` : '';
        return `${head}${bytes}  ${spanText(nowMs - phaseSinceMs)}`;
      }
      const rate = meter.rate(nowMs);
      const leftMs = meter.leftMs(nowMs);
      return [
        head,
        bytesText(latest.durableBytes),
        `${Math.floor(partOf(latest) * 100)}%`,
        rate === undefined ? '' : rateText(rate),
        leftMs === undefined ? '' : `ETA ${spanText(leftMs)}`,
      ]
        .filter((part) => part !== '')
        .join('  ');
    },
  };
}

/** A capture that is analyzed again stays done. */
function doingOf({ waiting, phase }: Capture): string {
  return waiting ? waitingText : phaseWord(phase === Phase.DONE ? Phase.ANALYZING : phase);
}

/** The image leaves out zeros, so what AVML has gone past tells more than what it wrote. */
function partOf(capture: Capture): number {
  const doneBytes = Math.max(Number(capture.scannedBytes), Number(capture.durableBytes));
  return capture.ceilingBytes === 0n ? 0 : Math.min(1, doneBytes / Number(capture.ceilingBytes));
}
