// Run by `helm test` with the collector image's node: exit code 0 if the collector is ready and its port for people speaks TLS 1.3.
import { readFileSync } from 'node:fs';
import { connect } from 'node:tls';

const [host, caPath] = process.argv.slice(-2);

const ready = await fetch(`http://${host}:9464/readyz`, { signal: AbortSignal.timeout(10_000) });
console.log(`http://${host}:9464/readyz: ${ready.status} ${(await ready.text()).trim()}`);
if (!ready.ok) process.exit(1);

await new Promise((resolve, reject) => {
  const socket = connect({
    host,
    port: 7444,
    servername: host,
    ca: readFileSync(caPath),
    minVersion: 'TLSv1.3',
    ALPNProtocols: ['h2'],
    timeout: 10_000,
  });
  socket.on('secureConnect', () => {
    console.log(`${host}:7444: ${socket.getProtocol()} ${socket.alpnProtocol}, certificate verified`);
    socket.destroy();
    resolve();
  });
  socket.on('error', reject);
  socket.on('timeout', () => reject(new Error(`${host}:7444 did not answer in 10 s`)));
});
