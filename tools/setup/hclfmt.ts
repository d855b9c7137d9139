import { installGoProgram } from './go-build.ts';

/** The path of hclfmt, which parses and formats Terraform's language: built by Go at a pinned version, never taken from PATH. */
export async function ensureHclfmt(): Promise<string> {
  return await installGoProgram('github.com/hashicorp/hcl/v2/cmd/hclfmt', '2.24.0');
}
