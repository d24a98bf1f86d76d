// session-state.ts: what a live session is: its place in the graph, what it has written down, what it has open.
//
// What it does is in the files that build on this one: how it waits, how it ends, how its calls end, how its turns go (session.ts).

import type { Decision, Stopped } from '@offswitch/core';
import type { Span } from '@opentelemetry/api';
import { Counters } from './breakers.ts';
import type { Call } from './call.ts';
import type { Engine } from './engine.ts';
import type { Graph, Member } from './graph.ts';
import type { JournalRecord } from './journal.ts';
import { Later } from './later.ts';
import type { Limiter } from './limiter.ts';
import type { Node } from './node.ts';
import type { OpenCalls } from './open-calls.ts';
import type { OpenTurn } from './open-turn.ts';
import type { Outcome } from './outcome.ts';
import { applyRecord, type Saved } from './saved.ts';
import type { LiveSession } from './session.ts';
import { KeptTurn } from './turn-kept.ts';

// A record without what every record of a session has in common.
export type Fact = JournalRecord extends infer R ? (R extends JournalRecord ? Omit<R, 's' | 'e' | 'at'> : never) : never;

export abstract class SessionState {
  readonly engine: Engine;
  readonly graph: Graph;
  readonly member: Member;
  /** The call of the parent inside which it lives. */
  readonly parentCall: Call | undefined;
  open: OpenTurn | undefined;
  /** `stopped`: over because it was stopped, parked or taken over: its agent's promises are abandoned. */
  protected life: 'live' | 'ended' | 'stopped' = 'live';
  stopping: Stopped | undefined;
  /** `stirs`: it was at rest and a pause held it then, which holds it still: what came to an end meanwhile gives its code no call (I1). */
  protected rest: 'no' | 'rests' | 'stirs' = 'no';
  /** Set only while somebody records. */
  span: Span | undefined;
  calls: OpenCalls | undefined;
  private outcomeLater: Later<Outcome> | undefined;
  private finalLater: Later<Outcome> | undefined;
  /** A session is its own async context outside of any call; and itself as everybody else knows it. */
  abstract get session(): LiveSession;

  constructor(engine: Engine, graph: Graph, member: Member, parentCall?: Call) {
    this.engine = engine;
    this.graph = graph;
    this.member = member;
    this.parentCall = parentCall;
  }

  /** Settles once, with whatever comes first: an end, a park, a stop. */
  get outcome(): Promise<Outcome> {
    this.outcomeLater ??= new Later();
    return this.outcomeLater.promise;
  }

  /** Settles at the end only. */
  get final(): Promise<Outcome> {
    this.finalLater ??= new Later();
    return this.finalLater.promise;
  }

  protected resolveOutcome(outcome: Outcome): void {
    this.outcomeLater ??= new Later();
    this.outcomeLater.resolve(outcome);
  }

  protected resolveFinal(outcome: Outcome): void {
    this.finalLater ??= new Later();
    this.finalLater.resolve(outcome);
  }

  get isOver(): boolean {
    return this.life !== 'live';
  }

  get isAtRest(): boolean {
    return this.rest === 'rests';
  }

  get isStopped(): boolean {
    return this.life === 'stopped';
  }

  get parent(): LiveSession | undefined {
    return this.parentCall?.session;
  }

  get node(): Node {
    return this.member.node;
  }

  get saved(): Saved {
    return this.member.saved;
  }

  get id(): string {
    return this.member.node.id;
  }

  get rootId(): string {
    return this.saved.record.root;
  }

  get parentId(): string | undefined {
    return this.node.parent?.id;
  }

  get path(): readonly string[] {
    return this.saved.record.path;
  }

  get agent(): string {
    return this.saved.record.agent;
  }

  get workflow(): string {
    return this.saved.record.workflow;
  }

  get userId(): string | undefined {
    return this.node.userId;
  }

  get conversationId(): string | undefined {
    return this.node.conversationId;
  }

  get decision(): Decision {
    return this.engine.decide(this.node);
  }

  /** Asked for, and not kept: most sessions wait most of the time. */
  get limiter(): Limiter | undefined {
    return this.engine.limiter(this.workflow);
  }

  get counters(): Counters {
    this.saved.counters ??= new Counters();
    return this.saved.counters;
  }

  /** May the agent be given anything now? Sets a terminate in motion that nobody has noticed yet. */
  mayGoOn(): boolean {
    if (this.isOver || this.stopping) return false;
    const decision = this.engine.decide(this.node);
    if (decision.action !== 'terminate') return true;
    this.engine.terminate(this.session, decision);
    return false;
  }

  write(fact: Fact): boolean {
    const record = this.recordOf(fact);
    const isWritten = this.engine.append(this.graph, record);
    // The open turn and what its calls say are kept in the turn itself, and folded in when it is parked.
    if (record.t !== 'turn' && record.t !== 'call' && record.t !== 'end') applyRecord(this.saved, record);
    else if (record.t === 'end' && record.costMicros !== undefined) this.saved.costMicros += record.costMicros;
    return isWritten;
  }

  protected recordOf(fact: Fact): JournalRecord {
    return { ...fact, s: this.id, e: this.saved.epoch, at: this.engine.clock.now() } as JournalRecord;
  }

  /** Keeps the calls of a turn for the day it is run again. */
  protected keepTurn(turn: OpenTurn): void {
    const calls = turn.toSaved();
    const kept = this.saved.turns.find((one) => one.number === turn.number);
    if (kept) kept.calls = calls;
    else this.saved.turns = [...this.saved.turns, { number: turn.number, calls }];
  }

  /** The same for a session that is terminated, whose turn changes no more. */
  protected keepLastTurn(turn: OpenTurn): void {
    const before = this.saved.turns.find((one) => one.number === turn.number);
    const kept = turn.told().length === 0 ? { number: turn.number, calls: [] } : new KeptTurn(turn, before?.failed);
    this.saved.turns = before ? this.saved.turns.map((one) => (one === before ? kept : one)) : [...this.saved.turns, kept];
  }
}
