// loops.ts: the loops that a gate knows, a record each: its place in the graph, who is above it, what it must wait for to begin,
// and what the gate told it last.
//
// Nothing begins under one that has not begun: a child whose parent is refused would hang under places that nobody watches any
// more, out of reach of every stop above (I1, I2).

import type { Decision } from '@offswitch/core';
import { type Arrival, aboveOf, refused, rootOf } from './arrival.ts';
import { RuntimeError } from './error.ts';
import { Foreign } from './foreign.ts';
import type { Above } from './journal.ts';
import type { Kernel } from './kernel.ts';
import type { Registration } from './lineage-store.ts';
import { Node, type NodeSpec } from './node.ts';

/** A session's last refusal: since then its loop takes no turn. */
export interface Refusal {
  readonly decision: Decision;
  /** Epoch milliseconds. */
  readonly at: number;
}

export interface Loop {
  readonly node: Node;
  /** Of this gate. */
  readonly parent: Loop | undefined;
  /** Of other processes. */
  readonly above: Above | undefined;
  /** `undefined` once it has begun. */
  start: Start | undefined;
  /** The store knows it, or is being told. */
  registered: Promise<unknown> | undefined;
  children: number;
  /** It is over. Its switch is read on for as long as it has children: a stop of it reaches them (S2). */
  hasEnded: boolean;
  /** `undefined` where it was let go on. */
  refusal: Refusal | undefined;
}

interface Start {
  /** Its switches, and those above it in other processes, are read for the first time. */
  readonly read: Promise<unknown>;
  /** To be made known to the store. */
  readonly arrival: Arrival | undefined;
  /** Rejected for good where it was refused: then it is known no more, and neither is what it started. */
  trying: Promise<void> | undefined;
}

export class Loops {
  private readonly kernel: Kernel;
  /** Told of each refusal, where it is made. */
  private readonly refusing: (error: RuntimeError) => RuntimeError;
  private readonly byId = new Map<string, Loop>();
  private readonly foreign: Foreign;
  /** What whoever begins next waits for. */
  private beingRead: Promise<void>[] = [];

  constructor(kernel: Kernel, refusing: (error: RuntimeError) => RuntimeError) {
    this.kernel = kernel;
    this.refusing = refusing;
    this.foreign = new Foreign({
      sharedUserId: (id) => kernel.switchboard.sharedUserId(id),
      watch: (node) => this.watch(node),
      unwatch: (node) => this.unwatch(node),
    });
  }

  get(id: string): Loop | undefined {
    return this.byId.get(id);
  }

  /** Is it still known, and not another one of its id? */
  has(loop: Loop): boolean {
    return this.byId.get(loop.node.id) === loop;
  }

  all(): Iterable<Loop> {
    return this.byId.values();
  }

  /** A root, or the child of one of this gate. */
  add(spec: NodeSpec, parent: Loop | undefined): Loop {
    if (parent) parent.children++;
    return this.keep(new Node({ ...spec, ...(parent ? { parent: parent.node } : {}) }), parent, undefined, undefined);
  }

  /** The child of a session of another process. Throws what `aboveOf` does. */
  addUnder(spec: NodeSpec, arrival: Arrival): Loop {
    const above = aboveOf(arrival, this.kernel.options.clock.now(), this.refusing);
    return this.keep(new Node({ ...spec, parent: this.foreign.enter(above) }), undefined, above, arrival);
  }

  private keep(node: Node, parent: Loop | undefined, above: Above | undefined, arrival: Arrival | undefined): Loop {
    this.watch(node);
    const read = this.beingRead;
    this.beingRead = [];
    const mustWait = read.length > 0 || arrival !== undefined || parent?.start !== undefined;
    const loop: Loop = {
      node,
      parent,
      above,
      start: mustWait ? { read: Promise.all(read), arrival, trying: undefined } : undefined,
      registered: undefined,
      children: 0,
      hasEnded: false,
      refusal: undefined,
    };
    this.byId.set(node.id, loop);
    return loop;
  }

  /**
   * Resolves when it has begun, and who started it. Throws what `decide` does, and it is forgotten; or `store_failed`, and the next who
   * asks tries again.
   */
  async begun(loop: Loop): Promise<void> {
    const { start } = loop;
    if (!start) return;
    start.trying ??= this.begin(loop, start);
    await start.trying;
  }

  private async begin(loop: Loop, start: Start): Promise<void> {
    try {
      await Promise.all([
        loop.parent && this.begun(loop.parent),
        start.arrival && this.makeKnownUnder(loop, start.arrival),
        start.read,
      ]);
      loop.start = undefined;
    } catch (error) {
      if (hasStoreFailed(error)) start.trying = undefined;
      else this.forget(loop);
      throw error;
    }
  }

  /** The store knows whether the root lives and whether the call has another child. */
  private async makeKnownUnder(loop: Loop, { path, call }: Arrival): Promise<void> {
    const { lineage } = this.kernel.options.store;
    const { id } = loop.node;
    const registration = { ...registrationOf(loop.node), path: [...path, id], ...(call === undefined ? {} : { call }) };
    const registered = await lineage.register(registration);
    if (registered.status === 'refused') throw this.refusing(refused(registered.code, path[0]!));
    if (registered.status === 'exists' && registered.session.session !== id)
      throw new RuntimeError(
        'session_elsewhere',
        `the call that this path was carried for has a child already: ${registered.session.session}`,
      );
    if (this.has(loop)) loop.registered = Promise.resolve();
    // It ended meanwhile, when nobody knew of it yet, and has not begun anew.
    else if (!this.byId.has(id)) lineage.note(id, rootOf(loop.node).id, 'completed');
  }

  /** Resolves when the store knows a root of here; where it cannot be told, the next who asks tries again. */
  async makeKnown(root: Loop): Promise<void> {
    if (!root.registered) {
      root.registered = this.kernel.options.store.lineage.register(registrationOf(root.node));
      root.registered.catch(() => {
        root.registered = undefined;
      });
    }
    await root.registered;
  }

  end(id: string): void {
    const loop = this.byId.get(id);
    if (!loop) return;
    loop.hasEnded = true;
    if (loop.children === 0) this.forget(loop);
  }

  /** With those above it that are over and have waited for it. */
  private forget(loop: Loop): void {
    let at: Loop | undefined = loop;
    while (at && this.has(at) && (at === loop || (at.hasEnded && at.children === 0))) {
      this.byId.delete(at.node.id);
      if (at.above) this.foreign.leave(at.above);
      if (at.registered) this.kernel.options.store.lineage.note(at.node.id, rootOf(at.node).id, 'completed');
      this.unwatch(at.node);
      at = at.parent;
      if (at) at.children--;
    }
  }

  private watch(node: Node): void {
    this.kernel.stops.know(node);
    const admitted = this.kernel.switchboard.admit(node);
    if (admitted) this.beingRead.push(admitted);
  }

  private unwatch(node: Node): void {
    this.kernel.stops.unknow(node);
    this.kernel.switchboard.dismiss(node);
  }
}

export function hasStoreFailed(error: unknown): error is RuntimeError {
  return RuntimeError.is(error) && error.code === 'store_failed';
}

function registrationOf(root: Node): Registration {
  return {
    session: root.id,
    path: [root.id],
    agent: root.workflow ?? '',
    workflow: root.workflow ?? '',
    ...(root.userId === undefined ? {} : { user: root.userId }),
    ...(root.conversationId === undefined ? {} : { conversation: root.conversationId }),
    isLocalRoot: true,
    isLoop: true,
  };
}
