import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { ClusterStage } from '../../tools/stage/cluster-stage.ts';

// Reads every frame of the bridge that both nodes hang on, and looks for a text in each frame and over the seam of two.
const sniffer = `
import socket, sys
text = sys.argv[1].encode()
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
s.bind((sys.argv[2], 0)); s.settimeout(0.5)
print("listening", flush=True)
import threading
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
frames = octets = found = 0
tail = b""
while not ended.is_set():
    try: frame = s.recv(1 << 17)
    except TimeoutError: continue
    frames += 1; octets += len(frame)
    if text in frame or text in tail + frame[:400]: found += 1
    tail = frame[-len(text):]
print(frames, octets, found, flush=True)
`;

/** What went over the wire while it was watched. */
export interface Watched {
  readonly frames: number;
  readonly bytes: number;
  /** Frames with the text in them. */
  readonly found: number;
}

/** Watches the wire between the nodes for a text, from now until the returned function is called. */
export async function watchWire(stage: ClusterStage, text: string): Promise<() => Promise<Watched>> {
  const child: ChildProcess = stage.cluster.spawn('python3', ['-c', sniffer, text, 'br0']);
  let out = '';
  let err = '';
  child.stdout?.setEncoding('utf8').on('data', (part: string) => {
    out += part;
  });
  child.stderr?.setEncoding('utf8').on('data', (part: string) => {
    err += part;
  });
  while (!out.includes('listening')) {
    if (child.exitCode !== null) throw new Error(`the wire cannot be watched: ${err}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return async () => {
    child.stdin?.end();
    await once(child, 'close');
    const [frames = 0, bytes = 0, found = -1] = (out.trim().split('\n').at(-1) ?? '').split(' ').map(Number);
    return { frames, bytes, found };
  };
}
