// births.ts: how sessions come to be: roots, children, detached ones; and how one that lay parked comes back.

import { checkId } from '@offswitch/core';
import type { AgentDefinition, RunOptions } from './agent.ts';
import type { Arrival } from './arrival.ts';
import { Birth } from './birth.ts';
import { bringLoose } from './bring-loose.ts';
import type { Call } from './call.ts';
import { leftBy, nodeOf } from './detached.ts';
import type { ChildSpec, DetachSpec } from './engine.ts';
import { RuntimeError } from './error.ts';
import { Graph, type Member } from './graph.ts';
import { mintId } from './id.ts';
import type { Above, JournalRecord, SessionRecord } from './journal.ts';
import { Node } from './node.ts';
import { inherit } from './restart.ts';
import { newSaved, type Saved } from './saved.ts';
import { LiveSession } from './session.ts';
import { Slice } from './slices.ts';
import { snapshot } from './snapshot.ts';
import type { World } from './world.ts';

export class Births {
  private readonly world: World;
  /** What the store has refused of the first records of sessions, the one that was tried last at the end. */
  private readonly unwritten = new Map<Saved, { readonly graph: Graph; readonly records: readonly JournalRecord[] }>();

  /** What lives inside a call, and whose next epoch the store has refused: nobody asks for it again, so its turns wait as if it were not written down. */
  private readonly unclaimed = new WeakMap<Saved, LiveSession>();

  constructor(world: World) {
    this.world = world;
  }

  /** A new root session. */
  root(definition: AgentDefinition, workflow: string, input: unknown, options: RunOptions): LiveSession {
    return this.newRoot(mintId('s-'), definition, workflow, input, options)();
  }

  /** Prepares it; it is born when what is answered is called. */
  private newRoot(
    id: string,
    definition: AgentDefinition,
    workflow: string,
    input: unknown,
    options: RunOptions,
    detached?: { readonly from: LiveSession; readonly reason: string; readonly owner: string },
  ): () => LiveSession {
    if (options.userId !== undefined) checkId('userId', options.userId);
    if (options.conversationId !== undefined) checkId('conversationId', options.conversationId);
    const node = new Node({
      id,
      workflow,
      ...(options.userId === undefined ? {} : { userId: this.world.kernel.switchboard.sharedUserId(options.userId) }),
      ...(options.conversationId === undefined ? {} : { conversationId: options.conversationId }),
      ...(detached ? { detachedFrom: detached.from.node } : {}),
    });
    const record = new Birth(node, definition.name, this.world.clock.now(), {
      input: snapshot(`the input of ${definition.name}`, input),
      ...(detached
        ? {
            detached: {
              from: detached.from.id,
              reason: detached.reason,
              owner: detached.owner,
              left: leftBy(detached.from.node),
            },
          }
        : {}),
    });
    const { saved, records } =
      options.restartOf === undefined
        ? born(record)
        : inherit(this.world.terminated.toRestart(options.restartOf, record), record.toJSON());
    const graph = new Graph({ node, saved, live: undefined });
    graph.forgiveCosts();
    if (options.restartOf !== undefined) this.world.terminated.takesUp(graph, options.restartOf);
    if (this.world.store.lineage.registersAll) graph.detachedBy = detached?.from.graph;
    return () => {
      this.bear(graph, saved, records);
      this.world.addGraph(graph);
      const live = this.bring(graph, graph.root);
      live.start(definition, options.restartOf === undefined ? input : snapshot(`the input of ${definition.name}`, record.input));
      return live;
    };
  }

  /** A session that comes from another process, before the store was asked whether it may begin. */
  prepareArrival(
    definition: AgentDefinition,
    input: unknown,
    options: RunOptions,
    arrival: Arrival,
    above: Above,
    /** That of a session that was registered and never began. */
    { id, epoch }: { readonly id: string; readonly epoch: number } = { id: mintId('s-'), epoch: 1 },
  ): { readonly record: SessionRecord; readonly definition: AgentDefinition } {
    const user = options.userId ?? arrival.userId;
    const kept = snapshot(`the input of ${definition.name}`, input);
    return {
      definition,
      record: {
        t: 'session',
        s: id,
        e: epoch,
        at: this.world.clock.now(),
        root: arrival.path[0]!,
        path: [...arrival.path, id],
        agent: definition.name,
        workflow: this.workflowOf(definition.name, arrival.workflow),
        ...(user === undefined ? {} : { user }),
        ...(arrival.conversationId === undefined ? {} : { conversation: arrival.conversationId }),
        ...(kept === undefined ? {} : { input: kept }),
        arrived: { ...above, ...(arrival.call === undefined ? {} : { call: arrival.call }) },
      },
    };
  }

  /** Registered: it begins, at the head of a graph of its own whose place is under the foreign one. */
  arrive({ record, definition }: ReturnType<Births['prepareArrival']>, input: unknown): LiveSession {
    const { world } = this;
    const node = nodeOf(record, world.foreign.enter(record.arrived!));
    const graph = new Graph({ node, saved: newSaved(record), live: undefined });
    this.bear(graph, graph.root.saved, [record]);
    world.addGraph(graph);
    const live = this.bring(graph, graph.root);
    live.start(definition, input);
    return live;
  }

  /** Prepares a detached session; it is born when what is answered is called. Throws `detach_not_declared`, `not_serialisable`. */
  detached(parent: LiveSession, id: string, { definition, input, reason, owner }: DetachSpec): () => void {
    if (!this.world.kernel.options.switches.mayDetach(parent.workflow)) {
      throw new RuntimeError(
        'detach_not_declared',
        `workflow ${JSON.stringify(parent.workflow)} does not declare mayDetach: a detached agent outlives a stop of its parent`,
      );
    }
    const { user, conversation } = parent.saved.record;
    const options = {
      ...(user === undefined ? {} : { userId: user }),
      ...(conversation === undefined ? {} : { conversationId: conversation }),
    };
    const workflow = this.workflowOf(definition.name, parent.workflow);
    return this.newRoot(id, definition, workflow, input, options, { from: parent, reason, owner });
  }

  child(parent: LiveSession, call: Call, spec: ChildSpec): LiveSession | undefined {
    const { graph } = parent;
    // A call that is entered again finds the child it had: the intent was written before there was one.
    if (call.childId === undefined && call.isKnown) call.childId = childOf(graph, parent, call);
    const known = call.childId === undefined ? undefined : graph.get(call.childId);
    const member = known ?? this.newMember(parent, call, spec);
    call.childId = member.node.id;
    if (!known && !call.isKnown && !call.isSent && !parent.intend(call)) {
      // As if it had not been asked for: a child that no intent tells of would be made again after a crash, beside this one.
      call.childId = undefined;
      this.world.reconsiderLater();
      return undefined;
    }
    if (!known) {
      this.bear(graph, member.saved, member.records ?? [member.saved.record]);
      graph.add(member);
      this.world.graphOf.set(member.node.id, graph);
    }
    const live = new LiveSession(this.world, graph, member, call);
    call.childSession = live;
    // What lives inside a call is run again with it, whatever it had come to.
    if (spec.inline) member.saved.settled = undefined;
    if (member.saved.settled) {
      // Taken up with its end from the run before. Nobody is told that end by a session that a crash would forget.
      if (!this.isBorn(live)) {
        call.childSession = undefined;
        return undefined;
      }
      live.recall(member.saved.settled);
      return live;
    }
    if (known) {
      member.live = live;
      if (!this.world.claim(live)) {
        if (live.isOver) return undefined;
        if (!spec.inline) {
          // Refused by the store: as if it had not been asked for, so that the spawn can ask again.
          member.live = undefined;
          call.childSession = undefined;
          return undefined;
        }
        this.unclaimed.set(member.saved, live);
      }
    }
    this.begin(live);
    if (!spec.inline) {
      const isNew = !known && member.records === undefined;
      live.start(spec.definition!, isNew ? spec.input : snapshot(`the input of ${spec.agent}`, member.saved.record.input));
    }
    return live;
  }

  private newMember(parent: LiveSession, call: Call, spec: ChildSpec): Member {
    const { record } = parent.saved;
    const user = spec.userId ?? record.user;
    if (spec.userId !== undefined) checkId('userId', spec.userId);
    const id = call.childId ?? mintId('s-');
    const node = new Node({
      id,
      parent: parent.node,
      workflow: spec.workflow ?? this.workflowOf(spec.agent, record.workflow),
      ...(user === undefined ? {} : { userId: user }),
      ...(record.conversation === undefined ? {} : { conversationId: record.conversation }),
    });
    const child = new Birth(node, spec.agent, this.world.clock.now(), {
      input: snapshot(`the input of ${spec.agent}`, spec.input),
      parentCall: { turn: call.turn.number, key: call.key },
      ...(spec.inline ? { inline: true } : {}),
    });
    const old = call.inheritsChild === undefined ? undefined : this.world.terminated.member(parent.graph, call.inheritsChild);
    if (!old) return { node, saved: newSaved(child), live: undefined };
    return {
      node,
      ...inherit(old, { ...child.toJSON(), ...(old.record.input === undefined ? {} : { input: old.record.input }) }),
      live: undefined,
    };
  }

  /** A live session for a member of a graph that is at rest; its epoch is claimed by the caller. */
  bring(graph: Graph, member: Member): LiveSession {
    const live = new LiveSession(this.world, graph, member);
    this.begin(live);
    return live;
  }

  begin(live: LiveSession): void {
    live.member.live = live;
    this.world.parking.brought(live);
    if (!this.world.kernel.switchboard.follows(live.node)) this.world.admit(live.node);
    this.world.stopping.sessionBegan(live);
    this.world.changed(live);
    const loose = this.world.looseToBring.size > 0 ? this.world.looseToBring.get(live.id) : undefined;
    if (!loose) return;
    this.world.looseToBring.delete(live.id);
    for (const member of loose) bringLoose(this.world, live, member);
  }

  /**
   * Is it written down that there is this session? A crash would forget one that is not, with all it did: it waits, and what the store
   * refused is tried again in a while, whatever holds it (I9, S4).
   */
  isBorn({ saved }: { readonly saved: Saved }): boolean {
    const live = this.unclaimed.get(saved);
    if (live && !live.isOver && !this.world.claim(live)) return false;
    this.unclaimed.delete(saved);
    const left = this.unwritten.get(saved);
    if (!left) return true;
    // Goes to the end where it is refused again: one that the store never takes is in nobody's way.
    this.unwritten.delete(saved);
    return this.bear(left.graph, saved, left.records);
  }

  /** Is anything of it written down, as far as this was asked for? */
  isWritten({ saved }: { readonly saved: Saved }): boolean {
    return !this.unwritten.has(saved);
  }

  /** Tries again with those that are not written down, until one is refused. */
  bearAll(): void {
    const slice = new Slice(this.world.clock);
    for (const saved of this.unwritten.keys()) {
      if (!this.isBorn({ saved })) return;
      if (!slice.isOver || this.unwritten.size === 0) continue;
      this.world.reconsiderLater();
      return;
    }
  }

  /** Graphs of which a crash would forget a session. */
  unborn(): readonly Graph[] {
    return [...this.unwritten.values()].map(({ graph }) => graph);
  }

  /** It has ended, before it was written down: nothing of it is. */
  ended(saved: Saved): void {
    this.unwritten.delete(saved);
  }

  /** Writes the first records of a session; keeps what the store refuses. */
  private bear(graph: Graph, saved: Saved, records: readonly JournalRecord[]): boolean {
    for (let i = 0; i < records.length; i++) {
      if (this.world.append(graph, records[i]!)) continue;
      this.unwritten.set(saved, { graph, records: records.slice(i) });
      this.world.reconsiderLater();
      return false;
    }
    return true;
  }

  workflowOf(agent: string, inherited: string): string {
    return this.world.kernel.options.switches.isWorkflow(agent) ? agent : inherited;
  }
}

function born(record: SessionRecord): { readonly saved: Saved; readonly records: readonly JournalRecord[] } {
  return { saved: newSaved(record), records: [record] };
}

function childOf(graph: Graph, parent: LiveSession, call: Call): string | undefined {
  for (const { node, saved } of graph.members()) {
    const { parentCall, path } = saved.record;
    if (parentCall?.key === call.key && parentCall.turn === call.turn.number && path.at(-2) === parent.id) return node.id;
  }
  return undefined;
}
