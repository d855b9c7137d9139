import { installGoProgram } from './go-build.ts';

/** The path of fake-gcs-server, which speaks the JSON API of Google Cloud Storage: built by Go at a pinned version, never taken from PATH. */
export async function ensureFakeGcs(): Promise<string> {
  return await installGoProgram('github.com/fsouza/fake-gcs-server', '1.56.1');
}
