// ends-at-rest.ts: sessions that do not run are ended where they lie: in a graph that is parked, or in one that goes on and has not come to them.
//
// Nobody calls such a session: it is claimed, and marked in the journal, leaves first (I3). What the store refuses is tried again.

import type { Stopped } from '@offswitch/core';
import type { Graph, Member } from './graph.ts';
import type { NotBrought } from './not-brought.ts';
import type { Saved } from './saved.ts';
import type { LiveSession } from './session.ts';
import { endedBefore } from './session-end.ts';
import type { World } from './world.ts';

export class EndsAtRest {
  private readonly world: World;
  private readonly notBrought: NotBrought;
  /** In which epoch it was claimed to be marked as ended, which the store has not taken down yet. */
  private readonly claimed = new WeakMap<Saved, number>();

  constructor(world: World, notBrought: NotBrought) {
    this.world = world;
    this.notBrought = notBrought;
  }

  /** A terminate reaches what is parked too: marked where it lies, leaves first. */
  terminateParked(graph: Graph): void {
    this.markAll(
      graph,
      this.terminated(
        graph,
        [...graph.members()].filter((member) => !member.saved.settled),
      ),
    );
    if (graph.root.saved.settled) this.world.retire(graph);
  }

  /** And what a graph that goes on has not come to yet. Who of it runs and is being ended ends after them. */
  terminateNotBrought(graph: Graph): void {
    for (const { saved } of this.markAll(graph, this.terminated(graph, this.notBrought.of(graph)))) {
      const above = graph.get(saved.record.path.at(-2)!)?.live;
      if (above?.stopping) above.tryMark();
    }
  }

  /** What its code, run again, has not asked for is at rest and would be for good: it ends with it, and before it (I3). False while the store refuses that. */
  endLeftUnder({ graph, id }: LiveSession): boolean {
    const left = this.notBrought.under(graph, id);
    if (left.length === 0) return true;
    const ending = left.map((member) => ({ member, decision: this.endOf(graph, member) }));
    for (const { node } of this.markAll(graph, ending).filter(({ saved }) => saved.settled?.status === 'failed'))
      this.world.alarm(`session ${node.id} has failed: ${notAskedFor}`);
    return !this.notBrought.isAnyUnder(graph, id);
  }

  private terminated(graph: Graph, members: readonly Member[]): readonly Ending[] {
    return members.flatMap((member) => {
      const decision = this.endOf(graph, member);
      return decision ? [{ member, decision }] : [];
    });
  }

  /** Leaves first. Answers those that are not left to be marked here. */
  private markAll(graph: Graph, ending: readonly Ending[]): readonly Member[] {
    const marked: Member[] = [];
    /** Above one that could not be marked: a session is marked after all that is under it (I3). */
    const above = new Set<string>();
    const depth = ({ member }: Ending): number => member.saved.record.path.length;
    for (const { member, decision } of [...ending].sort((a, b) => depth(b) - depth(a))) {
      if (graph.isElsewhere) break;
      if (above.has(member.node.id)) continue;
      if (this.mark(graph, member, decision)) marked.push(member);
      else for (const id of member.saved.record.path) above.add(id);
    }
    return marked;
  }

  /** What ends it: a stop, or that one above it is being ended, which no release takes back. */
  private endOf(graph: Graph, { node, saved }: Member): Stopped | undefined {
    const decision = this.world.decide(node);
    if (decision.action === 'terminate') return decision;
    return saved.record.path.map((id) => graph.get(id)?.live?.stopping).find((one) => one !== undefined);
  }

  /** As terminated, or as failed where nothing decided that. False where the store refused it: it is tried again. */
  private mark(graph: Graph, member: Member, decision: Stopped | undefined): boolean {
    const { saved } = member;
    const meanwhile = `${decision ? 'is terminated' : 'has failed'} but not marked yet`;
    const isOurs = this.claimed.get(saved) === saved.epoch || this.world.takeover.claims(graph, saved, meanwhile);
    // Of a graph that goes on here: that it is lost is heard of in a moment.
    if (isOurs === false) this.notBrought.delete(graph, member);
    if (!isOurs) return isOurs === false;
    const at = this.world.clock.now();
    const stopId = decision?.stopId === undefined ? {} : { stopId: decision.stopId };
    const end = decision ? ({ status: 'terminated', ...stopId } as const) : ({ status: 'failed', error: notAskedFor } as const);
    const isWritten = this.world.append(graph, { t: 'settled', s: saved.record.s, e: saved.epoch, at, ...end });
    if (!isWritten && this.world.births.isWritten(member)) {
      this.claimed.set(saved, saved.epoch);
      this.world.reconsiderLater();
      return false;
    }
    for (const turn of saved.turns)
      for (const call of turn.calls)
        if (call.outcome === undefined) call.outcome = call.class === 'effect' ? 'unknown' : 'aborted';
    saved.settled = { at, ...end };
    this.notBrought.delete(graph, member);
    this.world.births.ended(saved);
    this.world.registering.note(member.node, end.status);
    // A stop takes its grants back itself.
    if (decision) this.world.forensics.marked(member);
    else this.world.grants.left(member.node.id);
    this.world.kernel.switchboard.dismiss(member.node);
    this.world.stopping.memberRests(member);
    this.world.ends.tell(saved.record.s, Promise.resolve(endedBefore(saved.record.s, saved.settled, decision)));
    if (this.world.listeners.size > 0) this.world.emit({ type: 'session', session: saved.record.s });
    return true;
  }
}

interface Ending {
  readonly member: Member;
  /** None: its session ends without having asked for it. */
  readonly decision: Stopped | undefined;
}

const notAskedFor = 'what had started it was run again and ended without asking for it';
