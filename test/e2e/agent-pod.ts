import { type ClusterStage, namespace } from '../../tools/stage/cluster-stage.ts';

/** Name and uid of the agent's pod on a node. */
export async function agentOn(stage: ClusterStage, node: string): Promise<[string, string]> {
  const printed = await stage.cluster.must([
    ...['get', 'pod', '-n', namespace, '-l', 'app.kubernetes.io/component=agent'],
    ...[`--field-selector=spec.nodeName=${node}`, '-o', 'jsonpath={.items[0].metadata.name} {.items[0].metadata.uid}'],
  ]);
  const [name = '', uid = ''] = printed.split(' ');
  return [name, uid];
}
