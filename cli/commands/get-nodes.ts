import { Fault } from '@kcorder/proto/fault.ts';
import { NodeSchema } from '@kcorder/proto/gen/kcorder/v1/node_pb.ts';
import { ListNodesResponseSchema } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { exitCode } from '../exit-code.ts';
import { documentOf } from '../output/document.ts';
import { nodesTable, nodeText } from '../render/nodes.ts';
import type { Session } from '../session.ts';

/** `kcorder get nodes [NAME]`: all nodes, or one with whatever stands in the way of capturing it. */
export async function getNodes(session: Session, name: string | undefined): Promise<number> {
  const response = await session.calls.listNodes({}, { signal: session.terminal.interrupt });
  const { nodes } = response;
  if (name === undefined) {
    if (nodes.length === 0) session.note('No nodes: no agent has ever attached to this collector.');
    session.print({
      document: () => documentOf(ListNodesResponseSchema, response),
      table: (look) => (nodes.length === 0 ? '' : nodesTable(nodes, look, Date.now())),
    });
    return exitCode.ok;
  }
  const node = nodes.find((candidate) => candidate.name === name);
  if (node === undefined) {
    throw new Fault(
      'node_unknown',
      `no node named "${name}" has ever attached to this collector. \`kcorder get nodes\` lists them.`,
    );
  }
  session.print({
    document: () => documentOf(NodeSchema, node),
    table: (look) => nodeText(node, look, Date.now()),
  });
  return exitCode.ok;
}
