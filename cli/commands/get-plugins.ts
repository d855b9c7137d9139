import { ListPluginsResponseSchema } from '@kcorder/proto/gen/kcorder/v1/plugins_pb.ts';
import { exitCode } from '../exit-code.ts';
import { documentOf } from '../output/document.ts';
import { pluginsTable } from '../render/plugins.ts';
import type { Session } from '../session.ts';

/** `kcorder get plugins`: the plugins that the collector can run, as it knows them. */
export async function getPlugins(session: Session): Promise<number> {
  const response = await session.calls.listPlugins({}, { signal: session.terminal.interrupt });
  session.print({
    document: () => documentOf(ListPluginsResponseSchema, response),
    table: (look) => pluginsTable(response.plugins, look),
  });
  session.note(`Default profile: ${response.defaultProfile}.`);
  return exitCode.ok;
}
