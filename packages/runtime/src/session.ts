// session.ts: one live session, as its agent sees it and as it runs: the agent's code, turn by turn. Where it waits, how it ends and
// what becomes of its calls is in the files it builds on: session-state.ts, session-rest.ts, session-end.ts, session-calls.ts.

import type { Decision } from '@offswitch/core';
import type { AgentDefinition } from './agent.ts';
import { type Call, never } from './call.ts';
import { currentContext, runInContext } from './context.ts';
import type { Engine } from './engine.ts';
import { RuntimeError } from './error.ts';
import { messageOf } from './error-text.ts';
import type { Graph, Member } from './graph.ts';
import { OpenTurn } from './open-turn.ts';
import type { Outcome } from './outcome.ts';
import type { Carrier } from './path/carrier.ts';
import type { SavedTurn } from './saved.ts';
import { CallingSession } from './session-calls.ts';
import { snapshot } from './snapshot.ts';
import { startSession } from './telemetry.ts';
import type { Turn } from './turn.ts';

/** A session as its agent sees it. */
export interface Session {
  readonly id: string;
  readonly rootId: string;
  readonly parentId: string | undefined;
  /** Root first, itself last. */
  readonly path: readonly string[];
  readonly agent: string;
  readonly workflow: string;
  readonly userId: string | undefined;
  readonly conversationId: string | undefined;
  /**
   * The last checkpoint: what the last completed turn returned. `undefined` at birth. An agent that looks at it (or at `turnNumber`) before
   * its first turn goes on from there after a park or a crash. One that never looks is replayed: its code runs from the beginning, its
   * completed turns answer from the journal and do nothing again, and the journal of all its turns is kept for that.
   */
  readonly state: unknown;
  /** The last completed turn; 0 at birth. */
  readonly turnNumber: number;
  /**
   * What another process needs to begin a session under this one (`runtime.accept`): headers, an MCP `_meta`, an environment variable. Inside the body
   * of a call it is carried for that call, which then has one child, whichever process takes it up, and rests when that one does; declare
   * such a tool `delegates`. Resolves when the session is known to the store; made anew for each use, good for ten minutes. Rejects
   * with `path_keys_missing`, `path_too_long`, `session_ended`, `store_failed`.
   */
  carry(): Promise<Carrier>;
  /** What applies to it now. */
  readonly decision: Decision;
  /** The turn that is open now. For adapters of frameworks. */
  readonly open: Turn | undefined;
  /** Settles once, with whatever comes first: an end, a park, a stop. For adapters, whose streams must end when the session does. */
  readonly outcome: Promise<Outcome>;
  /**
   * One turn. Waits here while the session is paused; what `body` resolves to becomes the checkpoint. Calls still open when it
   * returns are waited for. If `body` rejects, so does this, and there is no checkpoint.
   */
  turn<S>(body: (turn: Turn) => Promise<S>): Promise<S>;
  /** For adapters of frameworks, the same in two halves: ends the open turn with `state` as its checkpoint, waits while paused, begins the next. */
  beginTurn(state?: unknown): Promise<Turn>;
  endTurn(state?: unknown): Promise<void>;
}

export class LiveSession extends CallingSession implements Session {
  private nextTurn: number;
  /** The agent has looked at its checkpoint, so it goes on from there. One that never looks is replayed from its first turn. */
  private readsState = false;
  /** Was a turn begun in this life? `waits`: one waits at the gate to be. */
  private begun: 'no' | 'waits' | 'yes' = 'no';

  constructor(engine: Engine, graph: Graph, member: Member, parentCall?: Call) {
    super(engine, graph, member, parentCall);
    this.nextTurn = member.saved.record.inline ? 1 : member.saved.checkpointTurn + 1;
  }

  /** A session is its own async context outside of any call. */
  override get session(): LiveSession {
    return this;
  }

  get state(): unknown {
    this.readsState = true;
    // A copy: what the agent does to it in a turn that is interrupted is not in the checkpoint.
    return snapshot(`the state of ${this.agent}`, this.saved.state);
  }

  get turnNumber(): number {
    this.readsState = true;
    return this.saved.checkpointTurn;
  }

  carry(): Promise<Carrier> {
    return this.engine.carry(this);
  }

  /** Enters the agent's code once the gate lets it: a session that is born paused runs none of it. */
  start(definition: AgentDefinition, input: unknown): void {
    this.span = startSession(this);
    runInContext(this, () => {
      this.admitted().then(
        () => this.enterBody(definition, input),
        (error) => this.fail(error),
      );
    });
  }

  /** May it begin: known to the store, where that keeps every session, and let go on by the gate. */
  admitted(): Promise<void> {
    const registered = this.engine.register(this);
    return registered ? registered.then(() => this.pass()) : this.pass();
  }

  /** Callbacks, and no `await`: a session that idles for days inside its agent's code costs no frame of ours. */
  private enterBody(definition: AgentDefinition, input: unknown): void {
    settledBy(() => definition.body(this, input as never)).then(LiveSession.bodyCompleted, LiveSession.bodyFailed);
  }

  // One function for all sessions: a promise's reactions run in the async context they were made in, which is the session's.
  private static bodyCompleted(result: unknown): Promise<void> {
    return currentContext()!.session.complete(result);
  }

  private static bodyFailed(error: unknown): Promise<void> {
    return currentContext()!.session.fail(error);
  }

  private async complete(result: unknown): Promise<void> {
    try {
      if (this.open) await this.closeTurn(this.open, this.saved.state, true);
      await this.endAfterAll(() => this.settle('completed', { result }));
    } catch (error) {
      await this.fail(error);
    }
  }

  private async fail(error: unknown): Promise<void> {
    if (this.open) await this.failTurn(this.open, error);
    await this.endAfterAll(() => this.settle('failed', { error }));
  }

  turn<S>(body: (turn: Turn) => Promise<S>): Promise<S> {
    if (this.open) {
      const why = `turn ${this.open.number} of ${this.id} is still open; a turn inside a turn is none`;
      return Promise.reject(new RuntimeError('turn_ended', why));
    }
    if (this.begun === 'no' && !this.readsState && this.keepsAllTurns) this.nextTurn = 1;
    const turn = this.newTurn();
    return turn instanceof OpenTurn ? this.inTurn(turn, body) : turn.then((begun) => this.inTurn(begun, body));
  }

  private inTurn<S>(turn: OpenTurn, body: (turn: Turn) => Promise<S>): Promise<S> {
    if (currentContext() === this) return runInContext(turn, LiveSession.turnBody<S>, body);
    // Called from elsewhere: the caller's context is what the body goes on in.
    return settledBy(() => body(turn)).then(
      (state) => this.endTurnOf(turn, state).then(() => state),
      (error) =>
        this.failTurn(turn, error).then(() => {
          throw error;
        }),
    );
  }

  // The same again, the turn being the context: what waits in a turn for days costs no function of its own.
  private static turnBody<S>(body: (turn: Turn) => Promise<S>): Promise<S> {
    return settledBy(() => body(currentContext() as OpenTurn)).then(LiveSession.turnEnded<S>, LiveSession.turnFailed);
  }

  private static async turnEnded<S>(state: S): Promise<S> {
    const turn = currentContext() as OpenTurn;
    await turn.session.endTurnOf(turn, state);
    return state;
  }

  private static async turnFailed(error: unknown): Promise<never> {
    const turn = currentContext() as OpenTurn;
    await turn.session.failTurn(turn, error);
    throw error;
  }

  /** A turn that had failed fails again when it is replayed: what the agent did about it is in the journal too. */
  private async endTurnOf(turn: OpenTurn, state: unknown): Promise<void> {
    if (turn.failedBefore === undefined) return this.closeTurn(turn, state);
    await this.failTurn(turn, undefined);
    throw new Error(turn.failedBefore);
  }

  async beginTurn(state?: unknown): Promise<Turn> {
    if (this.open) await this.closeTurn(this.open, state);
    return this.newTurn();
  }

  async endTurn(state?: unknown): Promise<void> {
    if (this.open) await this.closeTurn(this.open, state);
  }

  /** At once when nothing holds it; else when it may go on. */
  private newTurn(): OpenTurn | Promise<OpenTurn> {
    if (this.isOver)
      return this.isStopped ? never() : Promise.reject(new RuntimeError('session_ended', `session ${this.id} has ended`));
    if (this.begun === 'waits') {
      return Promise.reject(
        new RuntimeError('turn_ended', `a turn of ${this.id} is being begun already; one loop, one turn at a time`),
      );
    }
    // What lives inside a call has no code of its own that waited until the store knew it.
    const registered = this.begun === 'no' && this.saved.record.inline ? this.engine.register(this) : undefined;
    this.begun = 'yes';
    const number = this.nextTurn;
    const before = this.saved.turns.find((turn) => turn.number === number);
    // A turn that is only replayed was counted when it was begun.
    if (!before && number > this.saved.lastTurnCharged) {
      this.saved.lastTurnCharged = number;
      this.chargeTurn();
    }
    if (!registered && !this.stopping && this.engine.decide(this.node).action === 'run' && this.engine.isBorn(this))
      return this.openTurn(number, before);
    this.begun = 'waits';
    return (registered ? registered.then(() => this.pass()) : this.pass()).then(() => {
      this.begun = 'yes';
      return this.openTurn(number, before);
    });
  }

  private openTurn(number: number, before: SavedTurn | undefined): OpenTurn {
    this.nextTurn = number + 1;
    const turn = new OpenTurn(this, number, before?.calls ?? []);
    turn.failedBefore = before?.failed;
    this.open = turn;
    if (!before) this.write({ t: 'turn', turn: number });
    this.engine.changed(this);
    return turn;
  }

  private async closeTurn(turn: OpenTurn, state: unknown, isLast = false): Promise<void> {
    await this.quiesce(turn);
    if (this.isOver || this.stopping) return never();
    let kept: unknown;
    try {
      kept = snapshot(`the state that turn ${turn.number} of ${this.agent} returned`, state);
    } catch (error) {
      // Without a checkpoint the turn has failed, and what it did is kept for the day it is run again.
      await this.failTurn(turn, error);
      throw error;
    }
    turn.isEnded = true;
    this.open = undefined;
    // What is replayed from its first turn keeps them all.
    if (this.saved.record.inline || !this.readsState) this.keepTurn(turn);
    if (isLast || turn.number <= this.saved.checkpointTurn) return;
    const read = this.readsState ? ({ read: true } as const) : {};
    this.write({ t: 'checkpoint', turn: turn.number, ...read, ...(kept === undefined ? {} : { state: kept }) });
    this.engine.changed(this);
  }

  /** Waits until nothing of the turn is under way; a call may be made by what another one's end set going. */
  private async quiesce(turn: OpenTurn): Promise<void> {
    do {
      await this.joinCalls();
      await this.settleUnmatched(turn);
    } while (!this.isOver && this.calls !== undefined && this.calls.size > 0);
  }

  /** Is every turn up to the checkpoint in the journal still? Then an agent that does not look at it can be replayed. */
  private get keepsAllTurns(): boolean {
    const { turns, checkpointTurn } = this.saved;
    for (let number = 1; number <= checkpointTurn; number++) if (!turns.some((turn) => turn.number === number)) return false;
    return true;
  }

  private async failTurn(turn: OpenTurn, error: unknown): Promise<void> {
    // An effect that the failed turn did not come to again must not be made by the turn that is tried instead of it.
    await this.quiesce(turn);
    if (this.isOver || this.stopping) return never();
    turn.isEnded = true;
    this.open = undefined;
    this.keepTurn(turn);
    if (turn.failedBefore !== undefined) return;
    this.write({ t: 'turn-failed', turn: turn.number, error: messageOf(error) });
  }

  /** An effect in the journal that the turn, run again, did not make: a person must say what it means (S7). */
  private async settleUnmatched(turn: OpenTurn): Promise<void> {
    for (const before of turn.replay?.values() ?? []) {
      if (before.kind !== 'tool' || before.class !== 'effect' || before.outcome === 'not-sent' || before.outcome === 'failed')
        continue;
      while (!this.isOver && this.engine.resolution(this.id, before.id) === undefined) {
        const call = turn.adopt(before);
        this.track(call);
        await this.waitForPerson(
          call,
          `${before.name} was called before the interruption and not again after it; the turn's history does not show it`,
        );
        this.untrack(call);
        // Whoever waits for all its calls waits for this one too.
        call.end('unknown');
      }
    }
  }
}

/** The promise of a body that may also throw, or answer with no promise. */
function settledBy<R>(body: () => Promise<R> | R): Promise<R> {
  try {
    return Promise.resolve(body());
  } catch (error) {
    return Promise.reject(error);
  }
}
