import { Fault } from '@kcorder/proto/fault.ts';
import { PreflightReason } from '@kcorder/proto/gen/kcorder/v1/node_pb.ts';
import type { NodeIdentity } from '../capture/capture.ts';
import type { KnownNode, NodeJournal, PreflightRefusal } from '../journal/node-journal.ts';

/** What can be sent to an attached agent. */
export type Order =
  | { readonly kind: 'capture'; readonly captureId: string; readonly validForMs: number }
  | { readonly kind: 'cancel'; readonly captureId: string }
  | { readonly kind: 'kernel_types'; readonly transferId: string };

/** An agent whose stream is open. */
export interface Attached {
  readonly node: KnownNode;
  /** Made anew at every start of the agent. */
  readonly instanceId: string;
  send(order: Order): void;
  /** Ends the stream with this fault, or well without one. */
  detach(fault?: Fault): void;
}

/** The agents that are attached now, and the nodes that ever were. */
export class Fleet {
  readonly #nodes: NodeJournal;
  readonly #attached = new Map<string, Attached>();
  readonly #strangeness: (node: NodeIdentity) => string | undefined;

  /** `strangeness` says why a node is not the one of its name any more: no order goes there. */
  constructor(nodes: NodeJournal, strangeness: (node: NodeIdentity) => string | undefined = () => undefined) {
    this.#nodes = nodes;
    this.#strangeness = strangeness;
  }

  /**
   * Takes an agent in. The same instance that dials again replaces its old stream, which is half-open or left for a newer connection; another
   * instance is refused with already_attached until the old stream has ended.
   */
  attach(agent: Attached): void {
    const held = this.#attached.get(agent.node.uid);
    if (held !== undefined && held.instanceId !== agent.instanceId) {
      throw new Fault('already_attached', `node ${agent.node.name} has an agent attached already: one node, one agent`);
    }
    // First, since a full disk refuses it: an agent that is not taken in must not keep its next one out.
    this.#nodes.put(agent.node);
    this.#attached.set(agent.node.uid, agent);
    held?.detach();
  }

  /** Forgets an agent whose stream has ended, unless a newer stream has taken its place. */
  detached(agent: Attached): void {
    const { uid } = agent.node;
    if (this.#attached.get(uid)?.send !== agent.send) return;
    this.#attached.delete(uid);
    this.#nodes.put({ ...agent.node, lastSeenAt: new Date().toISOString() });
  }

  /** Notes a heartbeat. */
  seen(uid: string, refusals: readonly PreflightRefusal[]): void {
    const agent = this.#attached.get(uid);
    if (agent === undefined) return;
    const why = this.#strangeness(agent.node);
    if (why !== undefined) agent.detach(new Fault('unauthenticated', why));
    else this.#attached.set(uid, { ...agent, node: { ...agent.node, refusals, lastSeenAt: new Date().toISOString() } });
  }

  /** Ends the stream of a node, if it has one. */
  detach(uid: string, fault: Fault): void {
    this.#attached.get(uid)?.detach(fault);
  }

  /** Ends every stream: the collector is ending. */
  detachAll(fault: Fault): void {
    for (const agent of this.#attached.values()) agent.detach(fault);
  }

  online(uid: string): Attached | undefined {
    const agent = this.#attached.get(uid);
    return agent === undefined || this.#strangeness(agent.node) !== undefined ? undefined : agent;
  }

  /** The attached agents whose nodes fit. */
  attached(fits: (node: KnownNode) => boolean): Attached[] {
    return [...this.#attached.values()].filter(({ node }) => fits(node) && this.#strangeness(node) === undefined);
  }

  /** The node of a name: that of the attached agent, or else the one seen last. */
  named(nodeName: string): KnownNode | undefined {
    return this.attached(({ name }) => name === nodeName)[0]?.node ?? this.#nodes.named(nodeName);
  }

  /** The attached agent of a node that can be captured, of this very uid if one is given. Throws node_unknown, node_offline, preflight_refused. */
  capturable(nodeName: string, uid?: string): Attached {
    const attached = this.attached((node) => node.name === nodeName && (uid === undefined || node.uid === uid))[0];
    if (attached === undefined) {
      const known = this.#nodes.named(nodeName);
      if (known === undefined) {
        throw new Fault(
          'node_unknown',
          `no agent of a node named ${nodeName} has ever attached: see 'kcorder get nodes'`,
        );
      }
      throw new Fault(
        'node_offline',
        `the agent of node ${nodeName} is not attached (last seen ${known.lastSeenAt}): see to its pod, then try again`,
      );
    }
    const refusals = refusalsOf(attached.node);
    if (refusals.length > 0) {
      throw new Fault(
        'preflight_refused',
        `node ${nodeName} cannot be captured: ${refusals.map(({ message }) => message).join('; ')}`,
      );
    }
    return attached;
  }

  /** Every node, online or not. */
  list(): { node: KnownNode; online: boolean }[] {
    const nodes = this.#nodes.list((uid) => this.#attached.get(uid)?.node);
    return nodes.map((node) => ({ node, online: this.online(node.uid) !== undefined }));
  }
}

/** What stands in the way of a capture. That one runs there is the journal's to say: the agent's word is as old as its last heartbeat. */
export const refusalsOf = ({ refusals }: KnownNode): readonly PreflightRefusal[] =>
  refusals.filter(({ reason }) => reason !== PreflightReason.CAPTURE_RUNNING);
